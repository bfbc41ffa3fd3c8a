//! Values and schemas in words.

use serde_json::Value;

use super::names::NAME_PATTERN;

/// What [`needed`] says of a schema that it cannot put into words.
pub(super) const UNKNOWN: &str = "something else";

/// A value as it is named in a message.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() > 60 => {
            format!("the text {:?}...", text.chars().take(60).collect::<String>())
        }
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(elements) => format!("a list of {}", elements.len()),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

/// What a schema asks for. `root` is the schema that references point into.
pub(crate) fn needed(schema: &Value, root: &Value) -> String {
    let mut alternatives = Vec::new();
    collect(schema, root, 0, &mut alternatives);
    match alternatives.split_last() {
        None => UNKNOWN.to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
    }
}

fn collect(schema: &Value, root: &Value, depth: usize, into: &mut Vec<String>) {
    if depth > 16 {
        return; // a schema that refers to itself
    }
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| root.pointer(r.strip_prefix('#')?));
    if let Some(target) = target {
        return collect(target, root, depth + 1, into);
    }
    if let Some(constant) = schema.get("const") {
        return into.push(constant.to_string());
    }
    for keyword in ["enum", "oneOf", "anyOf"] {
        if let Some(Value::Array(options)) = schema.get(keyword) {
            for option in options {
                match keyword {
                    "enum" => into.push(option.to_string()),
                    _ => collect(option, root, depth + 1, into),
                }
            }
            return;
        }
    }
    match schema.get("type") {
        Some(Value::Array(kinds)) => {
            into.extend(kinds.iter().filter_map(Value::as_str).map(|kind| of_type(kind, schema)));
        }
        Some(Value::String(kind)) => into.push(of_type(kind, schema)),
        _ => {}
    }
}

fn of_type(kind: &str, schema: &Value) -> String {
    match kind {
        "string" if schema.get("pattern").is_some() => match schema["pattern"].as_str() {
            Some(NAME_PATTERN) => {
                "a name of letters, digits, `.`, `_` and `-`, at most 100, the first a letter or digit"
                    .to_owned()
            }
            pattern => format!("a text that matches {}", pattern.unwrap_or_default()),
        },
        "string" if schema.get("minLength").is_some() => "a text that is not empty".to_owned(),
        "string" => "a text".to_owned(),
        "integer" => format!("a whole number{}", range(schema)),
        "number" => format!("a number{}", range(schema)),
        "boolean" => "true or false".to_owned(),
        "array" if schema.get("minItems").is_some() => "a list that is not empty".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "an object".to_owned(),
        other => other.to_owned(),
    }
}

fn range(schema: &Value) -> String {
    let bound = |words: &str, keyword: &str| schema.get(keyword).map(|limit| format!("{words} {limit}"));
    let lowest = bound("of at least", "minimum").or_else(|| bound("above", "exclusiveMinimum"));
    let highest = bound("at most", "maximum").or_else(|| bound("below", "exclusiveMaximum"));
    match (lowest, highest) {
        (Some(low), Some(high)) => format!(" {low} and {high}"),
        (Some(low), None) => format!(" {low}"),
        (None, Some(high)) => format!(" {}", high.replace("at most", "of at most")),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_in_words() {
        let root = json!({"$defs": {"Unit": {"oneOf": [{"const": "bits"}, {"const": "nats"}]}}});
        let cases = [
            (json!({"type": "integer", "minimum": 1}), "a whole number of at least 1"),
            (
                json!({"type": "number", "exclusiveMinimum": 0.0, "maximum": 1}),
                "a number above 0.0 and at most 1",
            ),
            (json!({"type": "number", "maximum": 1}), "a number of at most 1"),
            (json!({"type": ["integer", "null"], "minimum": 0}), "a whole number of at least 0 or null"),
            (json!({"anyOf": [{"$ref": "#/$defs/Unit"}, {"type": "null"}]}), "\"bits\", \"nats\" or null"),
            (json!({"enum": ["first", "off"]}), "\"first\" or \"off\""),
            (json!({"$ref": "#/$defs/Unit"}), "\"bits\" or \"nats\""),
            (json!({}), "something else"),
        ];
        for (schema, words) in cases {
            assert_eq!(needed(&schema, &root), words, "{schema}");
        }
        let circle = json!({"$defs": {"A": {"$ref": "#/$defs/A"}}});
        assert_eq!(needed(&json!({"$ref": "#/$defs/A"}), &circle), "something else");
    }
}
