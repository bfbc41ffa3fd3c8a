//! Finding references in a plan.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Reference, Spec};
use crate::plan::path::JsonPath;
use crate::plan::problem::{Problem, suggestion};

/// The references of a plan, and the document with a value of the right form in place of each.
pub(in crate::plan) fn extract(document: &Value) -> (Value, Vec<Reference>, Vec<Problem>) {
    let mut filled = document.clone();
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let names = names(document);
    let analyses = filled.get_mut("analyses").and_then(Value::as_array_mut).into_iter().flatten();
    for (index, analysis) in analyses.enumerate() {
        let path = JsonPath::root().field("analyses").element(index);
        let mut walk = Walk { index, names: &names, found: &mut found, problems: &mut problems };
        walk.value(analysis, &path, String::new());
    }
    (filled, found, problems)
}

/// The names of the analyses of a plan, by their positions.
fn names(document: &Value) -> Vec<String> {
    let analyses = document.get("analyses").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let text = |analysis: &Value, field: &str| analysis.get(field).and_then(Value::as_str).map(str::to_owned);
    analyses.iter().map(|a| text(a, "name").or_else(|| text(a, "type")).unwrap_or_default()).collect()
}

struct Walk<'w> {
    index: usize,
    names: &'w [String],
    found: &'w mut Vec<Reference>,
    problems: &'w mut Vec<Problem>,
}

impl Walk<'_> {
    fn value(&mut self, value: &mut Value, path: &JsonPath, pointer: String) {
        if !pointer.is_empty() && value.get("from").is_some_and(Value::is_string) {
            let written = value.clone();
            match self.spec(&written, path) {
                Some(spec) => {
                    *value = stand_in(&spec);
                    let (analysis, path) = (self.index, path.clone());
                    self.found.push(Reference { path, analysis, pointer, written, spec });
                }
                None => *value = Value::Null,
            }
            return;
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    let key = name.replace('~', "~0").replace('/', "~1");
                    self.value(value, &path.field(name), format!("{pointer}/{key}"));
                }
            }
            Value::Array(items) => {
                for (at, value) in items.iter_mut().enumerate() {
                    self.value(value, &path.element(at), format!("{pointer}/{at}"));
                }
            }
            _ => {}
        }
    }

    fn spec(&mut self, written: &Value, path: &JsonPath) -> Option<Spec> {
        let mut problem = |what: String| {
            self.problems.push(Problem::new(path.clone(), what));
            None
        };
        let spec: Spec = match serde_json::from_value(written.clone()) {
            Ok(spec) => spec,
            Err(error) => return problem(format!("is no reference to a result: {error}")),
        };
        match (&spec.table, &spec.tensor) {
            (Some(_), None) | (None, Some(_)) => {}
            _ => return problem("needs either `table` or `tensor`, the result that is meant".to_owned()),
        }
        if spec.top.is_some() && spec.table.is_some() && spec.by.is_none() {
            return problem(
                "says `top` of a table, and needs `by`, the column that rows are sorted by".to_owned(),
            );
        }
        if spec.run.is_none() {
            if self.names.get(self.index) == Some(&spec.from) {
                return problem("takes a value from its own result".to_owned());
            }
            if !self.names.contains(&spec.from) {
                let near = suggestion(&spec.from, self.names.iter().map(String::as_str));
                let all = self.names.join(", ");
                return problem(format!("there is no analysis {:?}{near}; this plan has {all}", spec.from));
            }
        }
        Some(spec)
    }
}

/// A value of the form that a reference gives.
fn stand_in(spec: &Spec) -> Value {
    let row = || match &spec.columns {
        Some(columns) if columns.len() == 1 => json!(0),
        Some(columns) => json!(vec![0; columns.len()]),
        None => json!([0, 0]),
    };
    match (&spec.group_by, &spec.tensor, spec.top) {
        (Some(_), ..) => json!({ "0": [row()] }),
        (None, Some(_), None) => json!([0.0]),
        (None, Some(_), Some(_)) => json!([[0, 0]]),
        (None, None, _) => json!([row()]),
    }
}

/// Puts what was written back into the fields of an analysis, in place of the stand-ins.
pub(in crate::plan) fn put_back(fields: &mut Value, references: &[&Reference]) {
    for reference in references {
        if let Some(place) = fields.pointer_mut(&reference.pointer) {
            *place = reference.written.clone();
        }
    }
}

/// A problem for each analysis that waits for itself.
pub(in crate::plan) fn circles(document: &Value, references: &[Reference]) -> Vec<Problem> {
    let names = names(document);
    let mut needs: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for reference in references.iter().filter(|reference| reference.spec.run.is_none()) {
        if let Some(from) = names.iter().position(|name| *name == reference.spec.from) {
            needs.entry(reference.analysis).or_default().push(from);
        }
    }
    let mut problems = Vec::new();
    for reference in references.iter().filter(|reference| reference.spec.run.is_none()) {
        let Some(start) = names.iter().position(|name| *name == reference.spec.from) else { continue };
        let (mut reached, mut next) = (vec![start], vec![start]);
        while let Some(at) = next.pop() {
            for need in needs.get(&at).into_iter().flatten() {
                if !reached.contains(need) {
                    reached.push(*need);
                    next.push(*need);
                }
            }
        }
        if reached.contains(&reference.analysis) {
            let (one, other) = (&names[reference.analysis], &reference.spec.from);
            let what = format!("is a circle: {one} needs a result of {other}, which needs one of {one}");
            problems.push(Problem::new(reference.path.clone(), what));
        }
    }
    problems
}
