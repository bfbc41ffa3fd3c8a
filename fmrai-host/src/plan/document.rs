//! A resolved plan as a document again.

use serde_json::{Map, Value, json};

use super::device::DeviceChoice;
use super::format::FORMAT;
use super::limits::Limits;
use super::on_error::OnError;
use super::resolved::{ResolvedAnalysis, ResolvedPlan, Source};
use crate::plugins::Pins;

/// The plan with all defaults filled in; paths as they were `written`, plugins with the hashes of what was loaded.
pub(super) fn document(
    plan: &ResolvedPlan,
    written: &Value,
    hashes: &[Pins],
) -> Result<Value, serde_json::Error> {
    let analyses: Vec<Value> = plan.analyses.iter().map(ResolvedAnalysis::document).collect();
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    put("format", json!(FORMAT));
    match &plan.source {
        Source::Live { model, data } => {
            put("model", serde_json::to_value(model)?);
            put("data", serde_json::to_value(data)?);
        }
        Source::Activations(_) => {
            put("activations", written["activations"].clone());
        }
    }
    let paths = written.get("plugins").and_then(Value::as_array).into_iter().flatten();
    let paths: Vec<&Value> = paths.filter_map(|p| p.get("path")).collect();
    if !paths.is_empty() {
        // Of what was loaded: results depend on the very bytes.
        let named = paths.into_iter().zip(hashes);
        let named = named.map(|(path, Pins { sha256, libraries })| match libraries.is_empty() {
            true => json!({ "path": path, "sha256": sha256 }),
            false => json!({ "path": path, "sha256": sha256, "libraries": libraries }),
        });
        let named: Vec<Value> = named.collect();
        put("plugins", json!(named));
    }
    put("analyses", json!(analyses));
    if let Some(capture) = &plan.capture {
        put("capture", serde_json::to_value(capture)?);
    }
    if let Some(structure) = &plan.structure {
        put("structure", serde_json::to_value(structure)?);
    }
    put("output", written["output"].clone());
    put("parity", serde_json::to_value(plan.parity)?);
    put("checkpoint_seconds", json!(plan.checkpoint_seconds));
    put("report", json!(plan.report));
    if let Some(seconds) = plan.batch_seconds {
        put("batch_seconds", json!(seconds));
    }
    if plan.on_error != OnError::Stop {
        put("on_error", serde_json::to_value(plan.on_error)?);
    }
    if plan.limits != Limits::default() {
        put("limits", serde_json::to_value(plan.limits)?);
    }
    if plan.device != DeviceChoice::default() {
        put("device", serde_json::to_value(plan.device)?);
    }
    Ok(Value::Object(document))
}
