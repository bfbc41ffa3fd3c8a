//! Answers for programs.

use fmrai_core::report::{Argument, Question};
use rusqlite::types::Value as Cell;
use serde_json::{Map, Value, json};

use super::answer::Answered;
use super::store::OpenStore;

/// An answer with every row as an object by the names of the columns, numbers as they are stored.
pub(super) fn document(
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

fn section(section: &Answered<'_>) -> Value {
    let columns: Vec<Value> =
        section.columns.iter().map(|column| json!({ "name": column.name, "unit": column.unit })).collect();
    let row = |row: &Vec<Cell>| -> Value {
        let cells = section.columns.iter().zip(row);
        Value::Object(cells.map(|(column, value)| (column.name.clone(), cell(value))).collect())
    };
    let rows: Vec<Value> = section.rows.iter().map(row).collect();
    json!({ "heading": section.heading, "columns": columns, "rows": rows, "cut": section.cut })
}

/// Infinities are the texts `inf` and `-inf`, as in all JSON files of results.
fn cell(value: &Cell) -> Value {
    match value {
        Cell::Null | Cell::Blob(_) => Value::Null,
        Cell::Integer(i) => json!(i),
        Cell::Real(x) if x.is_infinite() => json!(x.to_string()),
        Cell::Real(x) => json!(x),
        Cell::Text(text) => json!(text),
    }
}
