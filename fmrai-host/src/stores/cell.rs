//! Cells of a store as JSON.

use rusqlite::types::Value as Cell;
use serde_json::{Value, json};

/// Infinities are the texts `inf` and `-inf`, as in all JSON files of results.
pub(crate) fn cell(value: &Cell) -> Value {
    match value {
        Cell::Null | Cell::Blob(_) => Value::Null,
        Cell::Integer(i) => json!(i),
        Cell::Real(x) if x.is_infinite() => json!(x.to_string()),
        Cell::Real(x) => json!(x),
        Cell::Text(text) => json!(text),
    }
}
