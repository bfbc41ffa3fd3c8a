//! References in the schema that editors read.

use serde_json::{Map, Value, json};

/// Where the schema of a reference stands.
const PLACE: &str = "#/$defs/reference";

/// The schema of plans in which any value of an analysis may be a reference. Plans themselves are checked by the one without, after references have been
/// replaced by values of their forms.
#[must_use]
pub fn with_references(mut schema: Value) -> Value {
    if let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        for (_, definition) in definitions.iter_mut().filter(|(name, _)| name.starts_with("analysis.")) {
            fields(definition, true);
        }
        definitions.insert("reference".to_owned(), reference());
    }
    schema
}

/// Allows references in the fields of an object; not in those that say what it is, of the analysis itself.
fn fields(definition: &mut Value, outermost: bool) {
    if let Some(properties) = definition.get_mut("properties").and_then(Value::as_object_mut) {
        for (_, field) in properties
            .iter_mut()
            .filter(|(name, _)| !(outermost && ["type", "name"].contains(&name.as_str())))
        {
            or_reference(field);
        }
    }
    for inner in ["additionalProperties", "items"] {
        if let Some(inner) = definition.get_mut(inner).filter(|inner| inner.is_object()) {
            or_reference(inner);
        }
    }
}

/// Allows a reference in place of a value.
fn or_reference(value: &mut Value) {
    fields(value, false);
    let mut both = Map::new();
    if let Some(own) = value.as_object_mut() {
        // What editors show stands outside, where they look.
        for note in ["description", "default"] {
            both.extend(own.shift_remove(note).map(|text| (note.to_owned(), text)));
        }
    }
    both.insert("anyOf".to_owned(), json!([value.take(), { "$ref": PLACE }]));
    *value = Value::Object(both);
}

/// A reference, as `Spec` reads it.
fn reference() -> Value {
    let text = |what: &str| json!({ "type": "string", "description": what });
    json!({
        "type": "object",
        "description": "a value from the result of another analysis, of this plan or of an earlier run",
        "additionalProperties": false,
        "required": ["from"],
        "properties": {
            "from": text("name of the analysis"),
            "run": text("folder of an earlier run, relative to the plan; this plan where absent"),
            "table": text("a table of its results"),
            "tensor": text("a tensor of its results"),
            "by": text("the column that rows are sorted by, largest first"),
            "top": { "type": "integer", "minimum": 0, "description": "how many are taken" },
            "lowest": { "type": "boolean", "default": false, "description": "whether the smallest come first" },
            "absolute": { "type": "boolean", "default": false, "description": "whether it goes by magnitude" },
            "columns": {
                "type": "array",
                "items": { "type": "string" },
                "description": "the columns that are taken; layer and head where absent"
            },
            "group_by": text("the column that rows are grouped by"),
            "index": {
                "type": "array",
                "items": { "type": "integer", "minimum": 0 },
                "description": "places along the first axes of a tensor"
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_analyses_may_be_references_and_nothing_else_may() {
        let schema = json!({
            "properties": { "output": { "type": "string" } },
            "$defs": {
                "analysis.a": { "properties": {
                    "type": { "const": "a" },
                    "groups": { "description": "heads", "type": "object", "additionalProperties": { "type": "array" } }
                } },
                "data.text": { "properties": { "path": { "type": "string" } } }
            }
        });
        let with = with_references(schema.clone());
        let place = |path: &str| with.pointer(path).cloned().unwrap_or_default();
        let groups = "/$defs/analysis.a/properties/groups";
        assert_eq!(place(&format!("{groups}/description")), "heads");
        assert_eq!(place(&format!("{groups}/anyOf/1/$ref")), PLACE);
        assert_eq!(place(&format!("{groups}/anyOf/0/additionalProperties/anyOf/1/$ref")), PLACE);
        for same in ["/properties", "/$defs/data.text", "/$defs/analysis.a/properties/type"] {
            assert_eq!(place(same), *schema.pointer(same).unwrap(), "{same}");
        }
    }
}
