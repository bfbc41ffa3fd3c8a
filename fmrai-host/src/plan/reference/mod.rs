//! Values of a plan that come from the results of an analysis: of the same plan, or of an earlier run.
//!
//! In place of a value, a field of an analysis may hold an object with a field `from`:
//!
//! | form | value |
//! | --- | --- |
//! | `{"from": "NAME", "table": "heads", "by": "induction", "top": 5}` | `[[layer, head], ...]` of the rows that are largest by a column |
//! | the same with `"columns": ["token"]` | other columns of these rows; one column gives a plain list |
//! | `{"from": "NAME", "table": "heads", "group_by": "cluster"}` | an object with such a list for each value of a column |
//! | `{"from": "NAME", "tensor": "recovered.head", "top": 5}` | the places of the largest elements of a tensor |
//! | `{"from": "NAME", "tensor": "direction", "index": [3]}` | the elements of a tensor, as nested lists; with `index`, those below these places of its first axes |
//!
//! `"absolute": true` goes by magnitudes, `"lowest": true` by the smallest first. With `"run": "FOLDER"`, `NAME` is an analysis of an earlier run,
//! whose results lie in that folder.

mod find;
mod schema;
mod value;

use std::path::PathBuf;

use serde::Deserialize;

use super::path::JsonPath;

pub(super) use find::{circles, extract, put_back};
pub use schema::with_references;
pub(crate) use value::{value_of_folder, value_of_report};

/// Which value is meant.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Name of the analysis.
    pub from: String,
    /// Folder of an earlier run; the same plan where absent.
    #[serde(default)]
    pub run: Option<PathBuf>,
    /// A table of its results.
    #[serde(default)]
    pub table: Option<String>,
    /// A tensor of its results.
    #[serde(default)]
    pub tensor: Option<String>,
    /// The column that rows are sorted by.
    #[serde(default)]
    pub by: Option<String>,
    /// How many are taken.
    #[serde(default)]
    pub top: Option<usize>,
    /// Whether the smallest come first.
    #[serde(default)]
    pub lowest: bool,
    /// Whether it goes by magnitude.
    #[serde(default)]
    pub absolute: bool,
    /// The columns that are taken.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
    /// The column that rows are grouped by.
    #[serde(default)]
    pub group_by: Option<String>,
    /// Places along the first axes of a tensor.
    #[serde(default)]
    pub index: Vec<usize>,
}

/// A value that is not known before another analysis has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The place in the plan.
    pub path: JsonPath,
    /// Which analysis of the plan it is a value of, by its position.
    pub analysis: usize,
    /// The keys and positions that lead to it within the analysis, as a JSON pointer.
    pub pointer: String,
    /// What stands there.
    pub written: serde_json::Value,
    /// Which value is meant.
    pub spec: Spec,
}
