//! The JSON Schema of a plan, for editors and for the check itself.

use serde_json::{Map, Value, json};

use super::capture;
use super::catalogue::Catalogue;
use super::device;
use super::format::FORMAT;
use super::limits;
use super::names::NAME_PATTERN;

/// The JSON Schema (draft 2020-12) of a plan that names anything in `catalogue`.
#[must_use]
pub fn schema(catalogue: &Catalogue) -> Value {
    let mut definitions = Map::new();
    let source = |entry: &fmrai_core::registry::Entry| (entry.name, entry.summary, (entry.schema)());
    let models = catalogue.models.iter().map(source).collect();
    let data = catalogue.data.iter().map(source).collect();
    let analyzers =
        catalogue.analyzers.iter().map(|a| (a.name.as_str(), a.summary.as_str(), a.schema.clone())).collect();
    let model = component("model", "the model", models, &mut definitions);
    let data = component("data", "what the model reads", data, &mut definitions);
    let analysis = component("analysis", "an analysis", analyzers, &mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fMRAi plan",
        "description": "What fmrai runs: a model, data, and analyses that share one pass over the data",
        "type": "object",
        "additionalProperties": false,
        "required": ["format", "output"],
        "allOf": [
            {
                "if": { "required": ["activations"] },
                "then": { "properties": { "model": false, "data": false, "capture": false, "structure": false } },
                "else": { "required": ["model", "data"] }
            },
            {
                "if": { "required": ["capture"] },
                "else": { "required": ["analyses"], "properties": { "analyses": { "minItems": 1 } } }
            }
        ],
        "properties": {
            "$schema": { "type": "string", "description": "where an editor finds this schema; ignored" },
            "format": { "const": FORMAT, "description": "version of the plan format" },
            "model": model,
            "data": data,
            "activations": {
                "type": "string",
                "minLength": 1,
                "description": "in place of model and data: the folder of an earlier capture, relative to the plan"
            },
            "plugins": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["path"],
                    "properties": {
                        "path": {
                            "type": "string",
                            "minLength": 1,
                            "description": "library file, relative to the plan"
                        },
                        "sha256": {
                            "type": "string",
                            "pattern": "^[0-9a-fA-F]{64}$",
                            "description": "hash that the file has to have"
                        },
                        "libraries": {
                            "type": "object",
                            "additionalProperties": { "type": "string", "pattern": "^[0-9a-fA-F]{64}$" },
                            "description": "hashes of libraries beside the file that it loads, by their places from its folder"
                        }
                    }
                },
                "description": "library files with more analyzers; only from folders that the user allows"
            },
            "analyses": {
                "type": "array",
                "items": analysis,
                "description": "the analyses; all of them share one pass over the data; may be absent beside capture"
            },
            "capture": capture::schema(),
            "structure": {
                "type": "object",
                "description": "what corrects the structure that is found: lists of components as `fmrai inspect --structure` writes them, e.g. `attention`"
            },
            "output": {
                "type": "string",
                "minLength": 1,
                "description": "folder for the results, relative to the plan"
            },
            "parity": {
                "enum": ["first", "every", "off"],
                "default": "first",
                "description": "batches on which the untouched model runs as well, to compare its outputs"
            },
            "checkpoint_seconds": {
                "type": "integer",
                "minimum": 0,
                "default": 60,
                "description": "seconds between two checkpoints; 0: after every batch"
            },
            "report": {
                "type": "boolean",
                "default": true,
                "description": "whether report.html is written, a page that shows all results"
            },
            "batch_seconds": {
                "type": "integer",
                "minimum": 1,
                "description": "seconds that a batch may take, and any call of an analysis outside of batches; no limit where absent"
            },
            "on_error": {
                "enum": ["stop", "skip"],
                "default": "stop",
                "description": "what becomes of a record that is refused, a batch that the model fails on, or one that an analysis refuses: \
                    the run or the analysis ends, or it is left out, counted and listed"
            },
            "limits": limits::schema(),
            "device": device::schema()
        },
        "$defs": definitions
    })
}

/// The schema of an object whose `type` is one of `kinds`: (name, summary, schema of its other fields).
///
/// The fields of each kind stand in `definitions` as `<role>.<name>`.
fn component(
    role: &str,
    description: &str,
    kinds: Vec<(&str, &str, Value)>,
    definitions: &mut Map<String, Value>,
) -> Value {
    let names: Vec<&str> = kinds.iter().map(|k| k.0).collect();
    let mut branches = Vec::new();
    for (name, summary, fields) in kinds {
        let key = format!("{role}.{name}");
        branches.push(json!({
            "if": { "type": "object", "required": ["type"], "properties": { "type": { "const": name } } },
            "then": { "$ref": format!("#/$defs/{key}") }
        }));
        let mut fields = hoist(fields, &key, definitions);
        let properties = fields.entry("properties").or_insert_with(|| json!({}));
        if let Value::Object(properties) = properties {
            properties.insert("type".to_owned(), json!({ "const": name, "description": summary }));
            if role == "analysis" {
                properties.insert(
                    "name".to_owned(),
                    json!({
                        "type": "string",
                        "pattern": NAME_PATTERN,
                        "description": "name of the analysis and its folder; its type where absent"
                    }),
                );
            }
        }
        fields.entry("description").or_insert_with(|| json!(summary));
        definitions.insert(key, Value::Object(fields));
    }
    let mut schema = json!({
        "type": "object",
        "required": ["type"],
        "properties": { "type": { "enum": names } },
        "description": description
    });
    if !branches.is_empty() {
        schema["allOf"] = Value::Array(branches);
    }
    schema
}

/// The fields of a schema, its own `$defs` moved to `definitions` as `<key>.<name>`.
fn hoist(schema: Value, key: &str, definitions: &mut Map<String, Value>) -> Map<String, Value> {
    let Value::Object(mut fields) = schema else {
        return Map::new();
    };
    for field in ["$schema", "title"] {
        fields.remove(field);
    }
    if let Some(Value::Object(own)) = fields.remove("$defs") {
        for (name, mut definition) in own {
            rename(&mut definition, key);
            definitions.insert(format!("{key}.{name}"), definition);
        }
    }
    for value in fields.values_mut() {
        rename(value, key);
    }
    fields
}

fn rename(schema: &mut Value, key: &str) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), &mut *value) {
                    ("$ref", Value::String(target)) => {
                        if let Some(name) = target.strip_prefix("#/$defs/") {
                            *target = format!("#/$defs/{key}.{name}");
                        }
                    }
                    _ => rename(value, key),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|e| rename(e, key)),
        _ => {}
    }
}
