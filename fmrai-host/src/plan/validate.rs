//! A document against the schema of plans: every violation, in our words.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;

use super::describe;
use super::format::FORMAT;
use super::path::{JsonPath, Step};
use super::problem::{Problem, suggestion};

/// Everything in `document` that `schema` does not allow.
pub(super) fn validate(document: &Value, schema: &Value) -> Vec<Problem> {
    // A newer format may mean anything by its fields: no further mistake is worth reporting.
    if let Some(newer) = document.get("format").and_then(Value::as_u64).filter(|f| *f > u64::from(FORMAT)) {
        let what = format!("is {newer}, this version of fmrai reads formats up to {FORMAT}: use a newer one");
        return vec![Problem::new(JsonPath::root().field("format"), what)];
    }
    match jsonschema::draft202012::options().build(schema) {
        Ok(validator) => {
            let mut found: Vec<Problem> = Vec::new();
            for problem in validator.iter_errors(document).flat_map(|e| problems(&e, schema)) {
                if !found.contains(&problem) {
                    found.push(problem);
                }
            }
            // What is absent has no place in the text: it is told in the order of the schema.
            let fields = schema.get("properties").and_then(Value::as_object);
            let rank = |p: &Problem| {
                fields.and_then(|f| f.keys().position(|f| p.path.is_in(&JsonPath::root().field(f))))
            };
            found.sort_by_key(rank);
            found
        }
        // Only the schema of a third-party analyzer can be at fault.
        Err(error) => {
            let what = format!("the schema of an analyzer is not valid: {error}");
            vec![Problem::new(JsonPath::root().field("analyses"), what)]
        }
    }
}

/// Of something that may have several forms, the mistakes within the one that it has: of an object those of its fields, not that it is one.
fn within<'e>(error: &'e ValidationError<'_>) -> Option<&'e [ValidationError<'static>]> {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) =
        error.kind()
    else {
        return None;
    };
    let other_form = |inner: &ValidationError<'_>| {
        inner.instance_path() == error.instance_path()
            && matches!(
                inner.kind(),
                ValidationErrorKind::Type { .. }
                    | ValidationErrorKind::Enum { .. }
                    | ValidationErrorKind::Constant { .. }
                    | ValidationErrorKind::AnyOf { .. }
                    | ValidationErrorKind::OneOfNotValid { .. }
            )
    };
    let mut forms = context.iter().filter(|form| !form.is_empty() && !form.iter().any(other_form));
    match (forms.next(), forms.next()) {
        (Some(form), None) => Some(form),
        _ => None,
    }
}

fn problems(error: &ValidationError<'_>, root: &Value) -> Vec<Problem> {
    if let Some(form) = within(error) {
        return form.iter().flat_map(|inner| problems(inner, root)).collect();
    }
    let path = path(error.instance_path());
    let schema = violated(error, root);
    let properties = || schema.and_then(|s| s.get("properties")).and_then(Value::as_object);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let valid: Vec<&str> =
                properties().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let unknown = |name: &String| {
                let near = suggestion(name, valid.iter().copied());
                let valid = valid.join(", ");
                Problem::new(path.field(name), format!("unknown field{near}, valid fields: {valid}"))
            };
            unexpected.iter().map(unknown).collect()
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            // A condition names the fields that it needs; the plan itself says what they are.
            let at_root =
                root.get("properties").and_then(Value::as_object).filter(|_| path == JsonPath::root());
            let described = at_root.or_else(properties).and_then(|p| p.get(name));
            let needed = described.map(|s| describe::needed(s, root));
            let needed = needed.map(|n| format!(", needed {n}")).unwrap_or_default();
            vec![Problem::new(path.field(name), format!("missing{needed}"))]
        }
        ValidationErrorKind::MinItems { .. } => {
            let found = describe::found(error.instance());
            vec![Problem::new(path, format!("is {found}, needed a list that is not empty"))]
        }
        ValidationErrorKind::FalseSchema => {
            let what = "cannot stand beside `activations`, which already has model and data";
            vec![Problem::new(path, what)]
        }
        ValidationErrorKind::Enum { options } => {
            let valid = options.as_array().into_iter().flatten().filter_map(Value::as_str);
            let near = error.instance().as_str().map(|found| suggestion(found, valid)).unwrap_or_default();
            let found = describe::found(error.instance());
            let needed = match schema {
                Some(schema) if !options.as_array().is_some_and(Vec::is_empty) => {
                    describe::needed(schema, root)
                }
                _ => "none: this program has nothing to choose from".to_owned(),
            };
            vec![Problem::new(path, format!("is {found}{near}, needed {needed}"))]
        }
        _ => {
            let found = describe::found(error.instance());
            let what = match schema.map(|s| describe::needed(s, root)) {
                Some(needed) if needed != describe::UNKNOWN => format!("is {found}, needed {needed}"),
                _ => error.to_string(),
            };
            vec![Problem::new(path, what)]
        }
    }
}

/// The schema whose keyword was violated.
fn violated<'a>(error: &ValidationError<'_>, root: &'a Value) -> Option<&'a Value> {
    let (parent, _keyword) = error.schema_path().as_str().rsplit_once('/')?;
    root.pointer(parent)
}

fn path(location: &Location) -> JsonPath {
    location.iter().fold(JsonPath::root(), |path, segment| {
        path.step(match segment {
            LocationSegment::Property(name) => Step::Field(name.into_owned()),
            LocationSegment::Index(index) => Step::Element(index),
        })
    })
}
