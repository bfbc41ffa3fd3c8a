//! Runs of the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::tensor::{TensorValue, from_safetensors};
use serde_json::{Value, json};

use crate::common::{ROOT, assert_exit, err, fmrai, json_file};

/// Decoders with references.
pub(super) const MODELS: [&str; 4] = ["gpt2", "llama", "qwen3", "gemma3"];

/// How attention is computed.
pub(super) const FORMS: [&str; 2] = ["eager", "fused"];

/// A file of the references of a model.
pub(super) fn reference(model: &str, file: &str) -> PathBuf {
    Path::new(ROOT).join("tests/reference/experiments").join(model).join(file).canonicalize().unwrap()
}

/// A file of named tensors.
fn tensors(file: &Path) -> BTreeMap<String, TensorValue> {
    from_safetensors(&std::fs::read(file).unwrap()).unwrap().0.into_iter().collect()
}

/// What PyTorch gives.
pub(super) fn expected(model: &str) -> BTreeMap<String, TensorValue> {
    tensors(&reference(model, "expected.safetensors"))
}

/// A checkpoint of the references as the model of a plan.
pub(super) fn decoder(name: &str, form: &str) -> Value {
    let path = Path::new(ROOT).join("tests/reference/decoders").join(name).canonicalize().unwrap();
    json!({ "type": "hf_checkpoint", "path": path, "attention": form })
}

/// The pairs of a model as the data of a plan.
pub(super) fn pairs(model: &str, size: usize) -> Value {
    json!({ "type": "pairs", "path": reference(model, "pairs.jsonl"), "batch_size": size })
}

/// The texts of a model as the data of a plan.
pub(super) fn texts(model: &str, size: usize) -> Value {
    json!({ "type": "text", "path": reference(model, "texts.txt"), "batch_size": size })
}

/// What an analysis has left.
pub(super) struct Results {
    pub(super) tensors: BTreeMap<String, TensorValue>,
    pub(super) summary: Value,
    folder: PathBuf,
    _all: tempfile::TempDir,
}

fn plan(model: &Value, data: &Value, analysis: &Value) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut analysis = analysis.clone();
    analysis["name"] = json!("found");
    let plan = json!({ "format": 1, "model": model, "data": data, "analyses": [analysis], "output": "out" });
    let file = folder.path().join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    (folder, file)
}

/// Runs an analysis.
#[track_caller]
pub(super) fn run(model: &Value, data: &Value, analysis: &Value) -> Results {
    let (all, file) = plan(model, data, analysis);
    assert_exit(&fmrai(&["run", file.to_str().unwrap()]), 0);
    let folder = all.path().join("out/found");
    let summary = json_file(&folder.join("summary.json"))["summary"].clone();
    Results { tensors: tensors(&folder.join("tensors.safetensors")), summary, folder, _all: all }
}

/// What is said of an analysis that cannot be.
#[track_caller]
pub(super) fn refused(model: &Value, data: &Value, analysis: &Value) -> String {
    let (_all, file) = plan(model, data, analysis);
    let output = fmrai(&["run", file.to_str().unwrap()]);
    assert!(!output.status.success(), "{analysis}");
    err(&output)
}

impl Results {
    pub(super) fn numbers(&self, name: &str) -> &[f64] {
        let all = || self.tensors.keys().cloned().collect::<Vec<_>>();
        let found = self.tensors.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", all()));
        found.f64().unwrap()
    }

    /// A table: the names of its columns, and its rows.
    pub(super) fn table(&self, name: &str) -> (Vec<String>, Vec<Vec<String>>) {
        let text = std::fs::read_to_string(self.folder.join(format!("tables/{name}.csv"))).unwrap();
        let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut lines = text.lines().map(cells);
        (lines.next().unwrap(), lines.collect())
    }

    /// Whether a figure was drawn.
    pub(super) fn has_figure(&self, name: &str) -> bool {
        self.folder.join(format!("figures/{name}.png")).exists()
    }
}

/// The largest difference; NaN is equal to itself alone.
pub(super) fn distance(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let each = |(a, b): (&f64, &f64)| match (a.is_nan(), b.is_nan()) {
        (true, true) => 0.0,
        (false, false) => (a - b).abs(),
        _ => f64::INFINITY,
    };
    found.iter().zip(expected).map(each).fold(0.0, f64::max)
}
