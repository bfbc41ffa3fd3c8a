//! Parts of a document, whatever state a run is in.

use std::path::Path;

use fmrai_core::graph::from_json;
use fmrai_core::structure::Structure;
use fmrai_report::model::Model;
use serde_json::{Map, Value};

/// The model whose graph is in this file, with the structure that the summary tells, or that is found again.
pub(super) fn model(path: &Path, structure: Option<Structure>, notes: &mut Vec<String>) -> Option<Model> {
    let Ok(text) = std::fs::read_to_string(path) else {
        notes.push("the model: its graph was not kept".to_owned());
        return None;
    };
    match from_json(&text) {
        Ok(graph) => Some(Model::of(&graph, &structure.unwrap_or_else(|| Structure::of(&graph)))),
        Err(error) => {
            notes.push(format!("the model: {error}"));
            None
        }
    }
}

/// What the page is called: the name of the folder that the plan writes into, which is the same wherever the results are.
pub(super) fn title(plan: Option<&Value>) -> String {
    let output = plan.and_then(|plan| plan["output"].as_str()).unwrap_or_default();
    let name = Path::new(output).file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "a run".to_owned())
}

/// Fields of an object, without those that are null.
pub(super) fn some(fields: Vec<(&str, Value)>) -> Map<String, Value> {
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
