//! `fmrai analyzers`.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::error::{Error, Exit};
use crate::plan::{Catalogue, Offer, words};
use crate::terminal;

/// Lists the analyzers and their fields.
pub(crate) fn analyzers(catalogue: &Catalogue, as_json: bool) -> Result<Exit, Error> {
    let text = if as_json {
        let entries: Vec<Value> = catalogue.analyzers.iter().map(document).collect();
        format!("{:#}", Value::Array(entries))
    } else {
        let listed: Vec<String> = catalogue.analyzers.iter().map(listing).collect();
        listed.join("\n")
    };
    terminal::answer(&text)?;
    Ok(Exit::Success)
}

fn document(entry: &Offer) -> Value {
    json!({
        "name": entry.name,
        "summary": entry.summary,
        "origin": entry.origin,
        "example": entry.example,
        "schema": entry.schema,
    })
}

fn listing(entry: &Offer) -> String {
    let (schema, example) = (&entry.schema, &entry.example);
    let mut text = format!("{}: {} ({})\n", entry.name, entry.summary, entry.origin);
    let fields = schema.get("properties").and_then(Value::as_object);
    for (name, field) in fields.into_iter().flatten() {
        let default = field.get("default").or_else(|| example.get(name));
        let default = default.map(|d| format!(", default {d}")).unwrap_or_default();
        let _ = writeln!(text, "  {name}: {}{default}", words(field, schema));
        if let Some(description) = field.get("description").and_then(Value::as_str) {
            for line in description.lines().filter(|line| !line.is_empty()) {
                let _ = writeln!(text, "      {line}");
            }
        }
    }
    text
}
