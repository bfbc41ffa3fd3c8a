//! What an analysis hands back: a summary, tables, tensors and figures, all of them data.
//!
//! The host writes and draws them, so that an analyzer links no drawing or file library.

pub mod figure;
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

use crate::tensor::{TensorData, TensorValue};

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

impl Report {
    /// Where it has NaN: tables by column, and tensors, each with how many. NaN may mean that something is missing, as the quartiles of no
    /// neuron, and may be a division by zero that nobody thought of.
    #[must_use]
    pub fn not_numbers(&self) -> Vec<String> {
        let nan = |numbers: &[f64]| numbers.iter().filter(|x| x.is_nan()).count();
        let mut places = Vec::new();
        for table in &self.tables {
            for column in table.columns() {
                if let Values::Float(numbers) = &column.values
                    && nan(numbers) > 0
                {
                    let (name, table) = (&column.name, table.name());
                    places.push(format!(
                        "table {table:?}, column {name:?}: {} of {}",
                        nan(numbers),
                        numbers.len()
                    ));
                }
            }
        }
        for tensor in &self.tensors {
            let data = tensor.value.data();
            let (count, all) = match data {
                TensorData::F64(numbers) => (nan(numbers), numbers.len()),
                TensorData::F32(numbers) => (numbers.iter().filter(|x| x.is_nan()).count(), numbers.len()),
                _ => (0, 0),
            };
            if count > 0 {
                places.push(format!("tensor {:?}: {count} of {all}", tensor.name));
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_nan_are_told() {
        let table = Table::new(
            "heads",
            vec![Column::whole("head", [0, 1]), Column::float("mean", Some("nats"), [0.5, f64::NAN])],
        );
        let value = TensorValue::new([3], vec![f64::NAN, 1.0, f64::NAN].into()).unwrap();
        let fine = TensorValue::new([1], vec![1.0_f64].into()).unwrap();
        let report = Report {
            tables: vec![table.unwrap()],
            tensors: vec![
                NamedTensor::new("means", &["head"], None, value),
                NamedTensor::new("fine", &["head"], None, fine),
            ],
            ..Report::default()
        };
        assert_eq!(
            report.not_numbers(),
            ["table \"heads\", column \"mean\": 1 of 2", "tensor \"means\": 2 of 3"]
        );
        assert!(Report::default().not_numbers().is_empty());
    }
}
