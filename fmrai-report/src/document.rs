//! What a page shows, as data.

use fmrai_core::report::{Figure, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::Model;
use crate::tensor::ShownTensor;

/// Version of the format: it grows when a field goes away or changes its meaning. New fields may come without that.
pub const FORMAT: u32 = 1;

/// All that a page shows of one run. `docs/report.md` describes its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`FORMAT`].
    pub format: u32,
    /// What the page is called, e.g. the name of the output folder.
    pub title: String,
    /// How the run ended: `ok`, `analysis_failed`, `outputs_differ`, or `unfinished`.
    pub status: String,
    /// The run as its `summary.json` has it, without `structure` and `analyses`; of an unfinished run as much of it as is known.
    pub run: Map<String, Value>,
    /// The model that was looked at; absent where its graph was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// The analyses, in the order of the plan.
    pub analyses: Vec<Analysis>,
    /// What was left out of this document, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How an analysis ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has an answer.
    Ok,
    /// It has none.
    Failed,
    /// The run has not ended.
    Unfinished,
}

/// In which stage an analysis failed, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stage, e.g. `track_batch`.
    pub stage: String,
    /// Why.
    pub message: String,
}

/// What an analysis has found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Its name in the plan.
    pub name: String,
    /// Its analyzer's `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it ended.
    pub status: Status,
    /// Its config, all fields.
    pub config: Map<String, Value>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// The answer in a few fields.
    pub summary: Map<String, Value>,
    /// Its tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<ShownTable>,
    /// Its tensors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tensors: Vec<ShownTensor>,
    /// Its figures, as the data that they are drawn from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
    /// What its store answers without being told more than a bounded number: cards to leaf through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
}

/// A table, or its first rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownTable {
    /// The rows that are here.
    pub table: Table,
    /// How many rows the table has.
    pub rows: usize,
}

impl ShownTable {
    /// A whole table.
    #[must_use]
    pub fn whole(table: Table) -> Self {
        Self { rows: table.rows(), table }
    }
}

/// What a store answers to a question of its analyzer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Name of the question.
    pub question: String,
    /// What the answer shows.
    pub about: String,
    /// The sections as `fmrai query --json` gives them: `heading`, `form`, `columns`, `rows`, `cut`.
    pub sections: Vec<Value>,
}
