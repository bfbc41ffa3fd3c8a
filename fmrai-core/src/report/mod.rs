//! What an analysis hands back: a summary, tables, tensors and figures, all of them data.
//!
//! The host writes and draws them, so that an analyzer links no drawing or file library.

pub mod figure;
mod not_numbers;
mod question;
mod store;
mod table;

pub use figure::Figure;
pub use question::{
    Argument, DeclarationError, Fault, Form, Format, Kind, Parameter, Question, Section, Shown,
};
pub use store::{Index, Relation, Store};
pub use table::{Column, Table, TableError, Values};

use serde_json::{Map, Value};

use crate::tensor::TensorValue;

/// The result of an analysis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The answer in a few fields, for `summary.json`.
    pub summary: Map<String, Value>,
    /// Tables, written as CSV.
    pub tables: Vec<Table>,
    /// Tensors, written as safetensors.
    pub tensors: Vec<NamedTensor>,
    /// Figures, drawn as SVG and PNG.
    pub figures: Vec<Figure>,
    /// Relations that people query, written as a database; absent for most analyses.
    pub store: Option<Store>,
    /// Where NaN means that there is nothing to tell, as the score of a head that a layer lacks or the error of a single number: names
    /// of tensors, of tables, and of columns as `TABLE.COLUMN`; a `*` at the end stands for any rest. Elsewhere NaN is told as a
    /// warning, and infinity everywhere ([`Self::not_numbers`]).
    pub gaps: Vec<String>,
}

impl Report {
    /// The same with gaps declared by these names.
    #[must_use]
    pub fn with_gaps(mut self, names: &[&str]) -> Self {
        self.gaps.extend(names.iter().map(|&name| name.to_owned()));
        self
    }
}

/// A tensor of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// What it holds, e.g. `distances`, `share.previous`. Unique in the report.
    pub name: String,
    /// Name of each axis, outermost first, e.g. `["layer", "head"]`.
    pub axes: Vec<String>,
    /// Unit of the numbers, e.g. `nats`; `None` for plain numbers.
    pub unit: Option<String>,
    /// The numbers.
    pub value: TensorValue,
}

impl NamedTensor {
    /// A named tensor with named axes.
    #[must_use]
    pub fn new(name: &str, axes: &[&str], unit: Option<&str>, value: TensorValue) -> Self {
        Self {
            name: name.to_owned(),
            axes: axes.iter().map(|&a| a.to_owned()).collect(),
            unit: unit.map(str::to_owned),
            value,
        }
    }
}
