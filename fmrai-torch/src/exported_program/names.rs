//! Names of what a program takes and gives.

use std::collections::BTreeMap;

use super::schema::{CallSignature, NamedTupleDef, TreeSpec};

/// Fields of the named tuples of a program, by their types.
pub(super) type Fields = BTreeMap<String, NamedTupleDef>;

/// Names of the leaves of a tree of containers, in order: keys of dictionaries, fields of classes and positions in tuples,
/// joined by dots.
fn leaves(spec: &TreeSpec, path: &str, fields: &Fields, names: &mut Vec<String>) {
    let Some(_) = &spec.kind else {
        names.push(path.to_owned());
        return;
    };
    let keys = spec
        .context
        .as_ref()
        .and_then(|context| keys(context, fields))
        .filter(|keys| keys.len() == spec.children_spec.len());
    for (i, child) in spec.children_spec.iter().enumerate() {
        let part = keys.as_ref().map_or_else(|| i.to_string(), |keys| keys[i].clone());
        let below = if path.is_empty() { part } else { format!("{path}.{part}") };
        leaves(child, &below, fields, names);
    }
}

/// The keys of a container: a list of texts, or such a list written as JSON text; for a dataclass, the first of two such lists
/// (fields with a value, fields without); for a named tuple, the name of its type.
fn keys(context: &serde_json::Value, fields: &Fields) -> Option<Vec<String>> {
    let named = context.as_str().and_then(|name| fields.get(name.trim_matches('"')));
    if let Some(named) = named {
        return Some(named.field_names.clone());
    }
    let parsed;
    let list = match context {
        serde_json::Value::String(text) => {
            parsed = serde_json::from_str::<serde_json::Value>(text).ok()?;
            parsed.as_array()?
        }
        other => other.as_array()?,
    };
    let list = match list.as_slice() {
        [serde_json::Value::Array(with_value), serde_json::Value::Array(_)] => with_value,
        _ => list,
    };
    list.iter()
        .map(|key| match key {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect()
}

fn tree(text: &str) -> Option<TreeSpec> {
    let (_, spec): (serde_json::Value, TreeSpec) = serde_json::from_str(text).ok()?;
    Some(spec)
}

/// Names of the arguments of a program, in the order of its user inputs.
///
/// Nested ones have their path: `past.0.1`. `None` where the program does not tell, or not for as many as it has.
pub(super) fn inputs(
    signature: Option<&CallSignature>,
    fields: &Fields,
    count: usize,
) -> Option<Vec<String>> {
    let signature = signature?;
    let spec = tree(signature.in_spec.as_deref()?)?;
    let [positional, keyword] = spec.children_spec.as_slice() else { return None };
    let mut names = Vec::new();
    let known = signature.forward_arg_names.as_deref().unwrap_or_default();
    for (i, child) in positional.children_spec.iter().enumerate() {
        leaves(child, &known.get(i).cloned().unwrap_or_else(|| format!("arg{i}")), fields, &mut names);
    }
    leaves(keyword, "", fields, &mut names);
    unique(names, count)
}

/// Names of the results of a program, in the order of its user outputs.
pub(super) fn outputs(signature: Option<&CallSignature>, fields: &Fields, count: usize) -> Vec<String> {
    let told = signature.and_then(|s| s.out_spec.as_deref()).and_then(tree).and_then(|spec| {
        let mut names = Vec::new();
        leaves(&spec, "", fields, &mut names);
        // Bare positions say little.
        for name in &mut names {
            if name.is_empty() {
                "output".clone_into(name);
            } else if name.starts_with(|c: char| c.is_ascii_digit()) {
                name.insert_str(0, "output.");
            }
        }
        unique(names, count)
    });
    told.unwrap_or_else(|| match count {
        1 => vec!["output".to_owned()],
        _ => (0..count).map(|i| format!("output.{i}")).collect(),
    })
}

fn unique(names: Vec<String>, count: usize) -> Option<Vec<String>> {
    let distinct: std::collections::BTreeSet<&str> = names.iter().map(String::as_str).collect();
    (names.len() == count && distinct.len() == count).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(in_spec: &str, out_spec: &str, names: &[&str]) -> CallSignature {
        CallSignature {
            in_spec: Some(in_spec.to_owned()),
            out_spec: Some(out_spec.to_owned()),
            forward_arg_names: Some(names.iter().map(|n| (*n).to_owned()).collect()),
        }
    }

    const LEAF: &str = r#"{"type": null, "context": null, "children_spec": []}"#;

    #[test]
    fn arguments_by_position_and_by_keyword() {
        let spec = format!(
            r#"[1, {{"type": "builtins.tuple", "context": "null", "children_spec": [
                {{"type": "builtins.tuple", "context": "null", "children_spec": [{LEAF},
                    {{"type": "builtins.list", "context": "null", "children_spec": [{LEAF}, {LEAF}]}}]}},
                {{"type": "builtins.dict", "context": "[\"mask\"]", "children_spec": [{LEAF}]}}]}}]"#
        );
        let signature = signature(&spec, "", &["input_ids", "past", "mask"]);
        let names = inputs(Some(&signature), &Fields::new(), 4).unwrap();
        assert_eq!(names, ["input_ids", "past.0", "past.1", "mask"]);
        assert_eq!(inputs(Some(&signature), &Fields::new(), 3), None);
    }

    #[test]
    fn results_by_key_or_by_position() {
        let both = NamedTupleDef { field_names: vec!["first".to_owned(), "second".to_owned()] };
        let fields = Fields::from([("x.Both".to_owned(), both)]);
        let output = |spec: &str, count| outputs(Some(&signature("", spec, &[])), &fields, count);
        let dictionary = r#"[1, {"type": "x.ModelOutput", "context": ["logits"], "children_spec": [LEAF]}]"#;
        assert_eq!(output(&dictionary.replace("LEAF", LEAF), 1), ["logits"]);
        let tuple = r#"[1, {"type": "builtins.tuple", "context": "null", "children_spec": [LEAF, LEAF]}]"#;
        assert_eq!(output(&tuple.replace("LEAF", LEAF), 2), ["output.0", "output.1"]);
        assert_eq!(output(&format!("[1, {LEAF}]"), 1), ["output"]);
        assert_eq!(outputs(None, &fields, 2), ["output.0", "output.1"]);
        assert_eq!(output("no json", 1), ["output"]);
        let dataclass = tuple.replace(r#""null""#, r#""[[\"left\", \"right\"], [\"absent\"]]""#);
        assert_eq!(output(&dataclass.replace("LEAF", LEAF), 2), ["left", "right"]);
        let named = tuple.replace(r#""null""#, r#""x.Both""#);
        assert_eq!(output(&named.replace("LEAF", LEAF), 2), ["first", "second"]);
    }
}
