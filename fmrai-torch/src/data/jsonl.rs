//! JSON lines: one object per line, a text in one of its fields.

use serde_json::{Map, Value};

use super::batching::Singles;
use super::objects::{kind, object};
use super::records::{Lines, Record, Records, quoted};
use super::settings::text_source;
use super::{Batches, DataContext, DataError, DataSource};

text_source! {
    /// A file of JSON lines: one object per line, the text in the same field of each. Empty texts and empty lines are left
    /// out and counted.
    pub struct JsonLines {
        /// Name of the field that holds the text.
        pub field: String,
        /// Names of further fields whose strings, numbers and truth values go with each text to analyses and captures; none by default.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub keep: Vec<String>,
    }
    reads: "texts", batch_size: 8, too_long: "are cut, and counted"
}

crate::register_data_source!(JsonLines, name: "jsonl", summary: "JSON lines: one object per line, the text in one of its fields",
);

impl DataSource for JsonLines {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        let (field, keep) = (self.field.clone(), self.keep.clone());
        self.settings().open_texts(context, Singles, move |path, file| {
            Ok(Objects { lines: Lines::new(path, file), field: field.clone(), keep: keep.clone() })
        })
    }
}

struct Objects {
    lines: Lines,
    field: String,
    keep: Vec<String>,
}

impl Objects {
    /// The text of one line, and the fields that are kept.
    fn text(&self, line: &str) -> Result<(String, Map<String, Value>), String> {
        let field = &self.field;
        let mut object: Map<String, Value> = object::<Value>(line, &format!("the field {field:?}"))?;
        match object.get_mut(field).map(Value::take) {
            Some(Value::String(text)) => Ok((text, self.kept(&mut object)?)),
            Some(other) => Err(format!("field {field:?} is {}, a string is needed", kind(&other))),
            None if object.is_empty() => Err(format!("no field {field:?}; the object is empty")),
            None => {
                Err(format!("no field {field:?}; there are {}", quoted(object.keys().map(String::as_str))))
            }
        }
    }
}

impl Objects {
    /// The fields of an object that are kept; the text has been taken out. One that is absent is null.
    fn kept(&self, object: &mut Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut kept = Map::new();
        for name in &self.keep {
            let value = object.get_mut(name).map(Value::take).unwrap_or_default();
            if value.is_array() || value.is_object() {
                let needed = "a string, a number, a truth value or null is needed";
                return Err(format!("field {name:?} is {}, {needed}", kind(&value)));
            }
            kept.insert(name.clone(), value);
        }
        Ok(kept)
    }
}

impl Records for Objects {
    fn next(&mut self) -> Result<Option<Record>, DataError> {
        let Some(record) = self.lines.next()? else { return Ok(None) };
        if record.is_blank() {
            return Ok(Some(record));
        }
        let (text, fields) = self.text(&record.text).map_err(|what| self.lines.error(what))?;
        Ok(Some(Record { text, fields, ..record }))
    }

    fn bytes(&self) -> u64 {
        self.lines.bytes()
    }
}
