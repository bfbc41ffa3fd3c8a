//! Answers for programs.

use fmrai_core::report::{Argument, Question};
use rusqlite::types::Value as Cell;
use serde_json::{Map, Value, json};

use super::answer::Answered;
use super::cell::cell;
use super::open::OpenStore;

/// An answer with every row as an object by the names of the columns, numbers as they are stored.
pub(crate) fn document(
    store: &OpenStore,
    question: &Question,
    told: &[(String, Argument)],
    answer: &[Answered<'_>],
) -> String {
    let told: Map<String, Value> = told.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let sections: Vec<Value> = answer.iter().map(section).collect();
    let document = json!({
        "store": store.path().display().to_string(),
        "question": question.name,
        "parameters": told,
        "sections": sections,
    });
    format!("{document:#}")
}

/// The rows of a section with what they are.
pub(crate) fn section(section: &Answered<'_>) -> Value {
    let columns: Vec<Value> =
        section.columns.iter().map(|column| json!({ "name": column.name, "unit": column.unit })).collect();
    let row = |row: &Vec<Cell>| -> Value {
        let cells = section.columns.iter().zip(row);
        Value::Object(cells.map(|(column, value)| (column.name.clone(), cell(value))).collect())
    };
    let rows: Vec<Value> = section.rows.iter().map(row).collect();
    json!({ "heading": section.heading, "form": section.form, "columns": columns, "rows": rows, "cut": section.cut })
}
