//! JSON lines: one object per line, a text in one of its fields.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::batching::{Settings, default_batch_size};
use super::records::{Lines, Record, Records, quoted};
use super::{Batches, DataContext, DataError, DataSource};

/// A file of JSON lines: one object per line, the text in the same field of each. Empty texts and empty lines are left
/// out and counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonLines {
    /// The file, relative to the plan.
    pub path: PathBuf,
    /// Name of the field that holds the text.
    pub field: String,
    /// Texts per batch, at least 1; 8 by default.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// Longest text in tokens, special tokens included; longer ones are cut, and counted. At least one token more than
    /// the tokenizer adds, at most what the model takes, which is the default.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<usize>,
    /// Read the first texts only, at least 1; all by default.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
}

crate::register_data_source!(JsonLines, name: "jsonl", summary: "JSON lines: one object per line, the text in one of its fields",
);

impl DataSource for JsonLines {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        let field = self.field.clone();
        Settings {
            path: &self.path,
            batch_size: self.batch_size,
            max_tokens: self.max_tokens,
            limit: self.limit,
        }
        .open(context, |path, file| Ok(Box::new(Objects { lines: Lines::new(path, file), field })))
    }
}

/// What is wrong with a file that is one JSON document.
const ONE_A_LINE: &str =
    "; if the file is one JSON document, write its objects one a line, e.g. with `jq -c '.[]'`";

struct Objects {
    lines: Lines,
    field: String,
}

impl Objects {
    /// The text of one line.
    fn text(&self, line: &str) -> Result<String, String> {
        let field = &self.field;
        let json: Value = serde_json::from_str(line).map_err(|e| {
            let hint = if matches!(line.trim(), "{" | "[") { ONE_A_LINE } else { "" };
            format!("{}{hint}", malformed(&e))
        })?;
        let mut object: Map<String, Value> = match json {
            Value::Object(object) => object,
            other => {
                let hint = if other.is_array() { ONE_A_LINE } else { "" };
                return Err(format!(
                    "is {}, an object with the field {field:?} is needed{hint}",
                    kind(&other)
                ));
            }
        };
        match object.get_mut(field).map(Value::take) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(format!("field {field:?} is {}, a string is needed", kind(&other))),
            None if object.is_empty() => Err(format!("no field {field:?}; the object is empty")),
            None => {
                Err(format!("no field {field:?}; there are {}", quoted(object.keys().map(String::as_str))))
            }
        }
    }
}

impl Records for Objects {
    fn next(&mut self) -> Result<Option<Record>, DataError> {
        let Some(record) = self.lines.next()? else { return Ok(None) };
        if record.text.trim().is_empty() {
            return Ok(Some(record));
        }
        let text = self.text(&record.text).map_err(|what| self.lines.error(what))?;
        Ok(Some(Record { text, line: record.line }))
    }

    fn bytes(&self) -> u64 {
        self.lines.bytes()
    }
}

/// The message without its line number, which counts within the one line that was parsed.
fn malformed(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&place).unwrap_or(&message);
    format!("malformed JSON at column {}: {message}", error.column())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
