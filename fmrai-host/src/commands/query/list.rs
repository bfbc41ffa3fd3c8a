//! What can be asked.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::arguments::command;
use super::cells::one_line;
use crate::stores::OpenStore;

/// The questions of all stores with their parameters.
pub(super) fn text(run: &Path, stores: &[OpenStore]) -> String {
    let mut text = String::new();
    for store in stores {
        if store.questions().is_empty() {
            let _ = writeln!(text, "{}\n", store.silence());
            continue;
        }
        let (schema, version) = store.schema();
        let _ = writeln!(text, "{} ({} version {version})", store.path().display(), one_line(schema));
        for question in store.questions() {
            let _ = writeln!(text, "  {}: {}", one_line(&question.name), one_line(&question.about));
            for parameter in &question.parameters {
                let default = parameter.default.as_ref();
                let default = default.map(|value| format!(" [default: {value}]")).unwrap_or_default();
                let (name, kind) = (parameter.name.replace('_', "-"), parameter.kind.name().to_uppercase());
                let about = one_line(&parameter.about);
                let _ = writeln!(text, "      {}", one_line(&format!("--{name} <{kind}>  {about}{default}")));
            }
        }
        text.push('\n');
    }
    let mut questions = stores.iter().flat_map(OpenStore::questions);
    if let Some(question) = questions.find(|question| question.check().is_ok()) {
        let usage = command(question).render_usage().to_string();
        let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
        let _ = writeln!(text, "Ask with e.g. fmrai query {} {usage}", run.display());
    }
    text
}

/// The same as JSON, each question as it was declared.
pub(super) fn json(stores: &[OpenStore]) -> String {
    let listed: Vec<Value> = stores
        .iter()
        .map(|store| {
            let (schema, version) = store.schema();
            let path = store.path().display().to_string();
            json!({ "store": path, "schema": schema, "version": version, "questions": store.questions() })
        })
        .collect();
    format!("{:#}", Value::Array(listed))
}
