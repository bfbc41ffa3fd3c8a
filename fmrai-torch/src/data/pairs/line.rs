//! What a line of a file of pairs says.

use fmrai_core::strict_json::Strict;
use fmrai_core::suggest::nearest;
use serde_json::{Map, Value};

use crate::data::objects::{kind, object};
use crate::data::records::quoted;

const FIELDS: [&str; 5] = ["clean", "corrupted", "answer", "wrong", "marks"];

/// A line, before its tokens are known.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) clean: String,
    pub(super) corrupted: String,
    pub(super) answer: Value,
    pub(super) wrong: Option<Value>,
    pub(super) marks: Map<String, Value>,
}

impl Line {
    /// # Errors
    /// What the line is instead.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let needed = format!("the fields {}", quoted(FIELDS.into_iter().take(3)));
        let mut fields = object::<Strict>(line, &needed)?;
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            let meant = nearest(unknown, FIELDS, 1)
                .first()
                .map_or(String::new(), |name| format!(" (did you mean {name:?}?)"));
            return Err(format!(
                "unknown field {unknown:?}{meant}, valid fields: {}",
                quoted(FIELDS.into_iter())
            ));
        }
        let there = quoted(fields.keys().map(String::as_str));
        let there =
            if there.is_empty() { "the object is empty".to_owned() } else { format!("there are {there}") };
        let mut field = |name: &str| fields.remove(name).ok_or_else(|| format!("no field {name:?}; {there}"));
        Ok(Self {
            clean: text("clean", field("clean")?)?,
            corrupted: text("corrupted", field("corrupted")?)?,
            answer: field("answer")?,
            wrong: field("wrong").ok(),
            marks: match field("marks") {
                Ok(Value::Object(marks)) => marks,
                Ok(other) => {
                    return Err(format!("field \"marks\" is {}, an object is needed", kind(&other)));
                }
                Err(_) => Map::new(),
            },
        })
    }
}

fn text(field: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) if text.trim().is_empty() => Err(format!("field {field:?} is an empty text")),
        Value::String(text) => Ok(text),
        other => Err(format!("field {field:?} is {}, a string is needed", kind(&other))),
    }
}
