//! What a run that has not ended has written so far, or one that was killed.

use std::path::Path;

use fmrai_report::{Analysis, Document, FORMAT, Status};
use serde_json::{Value, json};

use super::analysis::{answers, empty, failure};
use super::error::ReadError;
use super::inside::{json, object};
use super::parts::{model, some, title};
use crate::checkpoint::interim_store;
use crate::results::folder::{CHECKPOINT, GRAPH, OWNER, STATE};

/// The document of such a run; `None` if there is none in the folder.
pub(super) fn document(folder: &Path) -> Result<Option<Document>, ReadError> {
    let state = folder.join(STATE);
    let checkpoint = json(&state.join(CHECKPOINT))?;
    let Some(owner) = json(&state.join(OWNER))?.or_else(|| checkpoint.clone()) else { return Ok(None) };
    let checkpoint = checkpoint.unwrap_or_default();
    let plan = [&checkpoint["identity"]["plan"], &owner["plan"]].into_iter().find(|plan| plan.is_object());
    let plan = plan.cloned().unwrap_or_default();
    let mut notes = Vec::new();
    let failed = |name: &str| {
        let analyses = checkpoint["analyses"].as_array().into_iter().flatten();
        let mut failed = analyses.filter_map(|analysis| analysis.get("failed"));
        failed.find(|analysis| analysis["name"] == name).cloned().unwrap_or_default()
    };
    let mut analyses = Vec::new();
    for analysis in plan["analyses"].as_array().into_iter().flatten() {
        let name = analysis["name"].as_str().unwrap_or_default();
        analyses.push(one(folder, analysis, failure(&failed(name)), &mut notes));
    }
    notes.push("the run has not ended: figures, tables and tensors come with its results".to_owned());
    let numbers = checkpoint["counts"].as_array().cloned().unwrap_or_default();
    let names = ["texts", "tokens", "truncated_texts", "truncated_tokens", "skipped_empty"];
    let counts: serde_json::Map<String, Value> =
        names.iter().map(|name| (*name).to_owned()).zip(numbers).collect();
    let run = some(vec![
        ("versions", json!({ "fmrai": owner["fmrai"] })),
        ("plan", plan.clone()),
        ("data", json!({ "batches": checkpoint["batches"], "counts": counts })),
        ("parity", checkpoint["parity"].clone()),
    ]);
    let model = model(&state.join(GRAPH), None, &mut notes);
    let title = match title(Some(&plan)) {
        // The plan of an unfinished run is kept without its output.
        unknown if unknown == "a run" => folder
            .canonicalize()
            .ok()
            .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
            .unwrap_or(unknown),
        known => known,
    };
    let status = "unfinished".to_owned();
    Ok(Some(Document { format: FORMAT, title, status, run, model, analyses, notes }))
}

fn one(
    folder: &Path,
    planned: &Value,
    error: Option<fmrai_report::Failure>,
    notes: &mut Vec<String>,
) -> Analysis {
    let name = planned["name"].as_str().unwrap_or_default();
    let mut analysis = empty(name, planned["type"].as_str().unwrap_or_default(), error);
    if analysis.status == Status::Ok {
        analysis.status = Status::Unfinished;
    }
    analysis.config = object(planned.clone());
    for field in ["name", "type"] {
        analysis.config.shift_remove(field);
    }
    let store = interim_store(folder, name);
    let plain = crate::plan::is_name(name);
    if plain && store.is_file() {
        analysis.answers = answers(&store, &mut |what| notes.push(format!("{name}: {what}")));
    }
    analysis
}
