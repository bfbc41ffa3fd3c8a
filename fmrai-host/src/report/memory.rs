//! What an analysis has found, before it is in any folder.

use std::path::Path;

use fmrai_core::report::Report;
use fmrai_report::{Analysis, Failure, ShownTable, ShownTensor};
use serde_json::{Map, Value};

use super::analysis::{asked, empty};
use crate::results::STORE;
use crate::stores::OpenStore;

/// An analysis as the page shows it: of its report, with the place of its store where that is written already, or of why it failed. What is left
/// out is added to `notes`.
pub fn analysis(
    name: &str,
    kind: &str,
    config: &Map<String, Value>,
    found: Result<(&Report, Option<&Path>), Failure>,
    notes: &mut Vec<String>,
) -> Analysis {
    let (report, written) = match found {
        Ok(found) => found,
        Err(failure) => return Analysis { config: config.clone(), ..empty(name, kind, Some(failure)) },
    };
    let answers = report.store.as_ref().and_then(|store| match written {
        Some(path) => OpenStore::open_as(STORE, path).ok(),
        None => OpenStore::in_memory(store).ok(),
    });
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
