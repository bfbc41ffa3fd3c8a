//! JSON objects, one a line.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What is wrong with a file that is one JSON document.
const ONE_A_LINE: &str =
    "; if the file is one JSON document, write its objects one a line, e.g. with `jq -c '.[]'`";

/// The object of one line, parsed as a `T`; `needed` are the fields that it has to have, for messages.
///
/// # Errors
/// What the line is instead.
pub(super) fn object<T: DeserializeOwned + Into<Value>>(
    line: &str,
    needed: &str,
) -> Result<Map<String, Value>, String> {
    let json: T = serde_json::from_str(line).map_err(|e| {
        let hint = if matches!(line.trim(), "{" | "[") { ONE_A_LINE } else { "" };
        format!("{}{hint}", malformed(&e))
    })?;
    match json.into() {
        Value::Object(object) => Ok(object),
        other => {
            let hint = if other.is_array() { ONE_A_LINE } else { "" };
            Err(format!("is {}, an object with {needed} is needed{hint}", kind(&other)))
        }
    }
}

/// The message without its line number, which counts within the one line that was parsed.
fn malformed(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&place).unwrap_or(&message);
    format!("malformed JSON at column {}: {message}", error.column())
}

/// What a value is, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
