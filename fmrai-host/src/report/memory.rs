//! What an analysis has found, before it is in any folder.

use fmrai_core::report::Report;
use fmrai_report::{Analysis, Failure, ShownTable, ShownTensor};
use serde_json::{Map, Value};

use super::analysis::{asked, empty};
use crate::results::analysis::Files;
use crate::stores::OpenStore;

/// An analysis as the page shows it: of its report and the files of that, of which only that of a store is read, or of why it failed. What is left
/// out is added to `notes`.
pub fn analysis(
    name: &str,
    kind: &str,
    config: &Map<String, Value>,
    found: Result<(&Report, &Files), Failure>,
    notes: &mut Vec<String>,
) -> Analysis {
    let (report, files) = match found {
        Ok(found) => found,
        Err(failure) => return Analysis { config: config.clone(), ..empty(name, kind, Some(failure)) },
    };
    let store = files.iter().find(|(file, _)| file == "store.sqlite").map(|(_, bytes)| bytes);
    let answers = store.and_then(|bytes| OpenStore::of_bytes(bytes).ok());
    let mut unasked = |what: String| notes.push(format!("{name}: {what}"));
    Analysis {
        config: config.clone(),
        summary: report.summary.clone(),
        tables: report.tables.iter().cloned().map(ShownTable::whole).collect(),
        tensors: report.tensors.iter().map(ShownTensor::with_data).collect(),
        figures: report.figures.clone(),
        answers: answers.map(|store| asked(&store, &mut unasked)).unwrap_or_default(),
        ..empty(name, kind, None)
    }
}
