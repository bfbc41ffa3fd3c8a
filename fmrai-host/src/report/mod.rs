//! The folder of a run as one document, and as the page of it.
//!
//! A folder is read whatever state it is in: complete, with failed analyses, or of a run that was killed. A part that cannot be read
//! is left out, and the document says so.

mod analysis;
mod error;
mod inside;
mod memory;
mod unfinished;

use std::path::Path;

use fmrai_core::graph::from_json;
use fmrai_core::structure::Structure;
use fmrai_report::model::Model;
use fmrai_report::{Analysis, Document, FORMAT, html};
use serde_json::{Map, Value};

pub use error::ReadError;
use inside::{json, object};
pub(crate) use memory::analysis as of_report;

use crate::results::folder::{GRAPH, SUMMARY};

/// What a run has left in `folder`, as a document.
///
/// # Errors
/// [`ReadError`] for a folder that no run has written into, and for a summary that cannot be read.
pub fn document(folder: &Path) -> Result<Document, ReadError> {
    let Some(mut summary) = json(&folder.join(SUMMARY))?.map(object) else {
        return unfinished::document(folder)?.ok_or_else(|| ReadError::NoRun { path: folder.to_owned() });
    };
    let mut notes = Vec::new();
    let structure = summary.shift_remove("structure");
    let structure = structure.and_then(|structure| serde_json::from_value(structure).ok());
    let model = model(&folder.join(GRAPH), structure, &mut notes);
    let listed = summary.shift_remove("analyses").unwrap_or_default();
    let listed = listed.as_array().cloned().unwrap_or_default();
    let analyses = listed.iter().filter_map(|listed| analysis::read(folder, listed, &mut notes)).collect();
    Ok(of_summary(summary, model, analyses, notes))
}

/// The document of a run with this summary, whose structure and analyses are told apart.
pub(crate) fn of_summary(
    mut summary: Map<String, Value>,
    model: Option<Model>,
    analyses: Vec<Analysis>,
    notes: Vec<String>,
) -> Document {
    for told in ["structure", "analyses", "files"] {
        summary.shift_remove(told);
    }
    let status = summary.get("status").and_then(Value::as_str).unwrap_or("ok").to_owned();
    let title = title(summary.get("plan"));
    Document { format: FORMAT, title, status, run: summary, model, analyses, notes }
}

/// The page of a folder.
///
/// # Errors
/// As [`document`].
pub fn page(folder: &Path) -> Result<String, ReadError> {
    html(document(folder)?).map_err(|source| ReadError::Json { path: folder.to_owned(), source })
}

/// The model whose graph is in this file, with the structure that the summary tells, or that is found again.
fn model(path: &Path, structure: Option<Structure>, notes: &mut Vec<String>) -> Option<Model> {
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
fn title(plan: Option<&Value>) -> String {
    let output = plan.and_then(|plan| plan["output"].as_str()).unwrap_or_default();
    let name = Path::new(output).file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "a run".to_owned())
}

/// Fields of an object, without those that are null.
fn some(fields: Vec<(&str, Value)>) -> Map<String, Value> {
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
