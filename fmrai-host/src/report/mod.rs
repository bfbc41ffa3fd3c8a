//! The folder of a run as one document, and as the page of it.
//!
//! A folder is read whatever state it is in: complete, with failed analyses, or of a run that was killed. A part that cannot be read
//! is left out, and the document says so.

mod analysis;
mod error;
mod inside;
mod memory;
mod parts;
mod unfinished;

use std::path::Path;

use fmrai_report::model::Model;
use fmrai_report::{Analysis, Document, FORMAT, html};
use serde_json::{Map, Value};

pub use error::ReadError;
use inside::{json, object};
pub use memory::analysis as of_report;
use parts::{model, title};

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
