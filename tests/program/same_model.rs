//! The same model as a checkpoint, as an exported program and as TorchScript: the same results.

use std::path::{Path, PathBuf};

use crate::common::{err, fmrai, out, reference, sentences};
use fmrai_core::tensor::{TensorData, TensorValue, from_safetensors};
use fmrai_core::tolerance::Tolerance;
use serde_json::{Value, json};

/// The results of a plan on a model.
fn run(folder: &Path, name: &str, model: &Value) -> PathBuf {
    std::fs::write(folder.join("texts.txt"), sentences(24)).unwrap();
    let plan = json!({
        "format": 1, "model": model, "data": { "type": "text", "path": "texts.txt", "batch_size": 5 },
        "analyses": [{ "type": "attention_patterns" }, { "type": "attention_clustering" }], "output": name
    });
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, plan.to_string()).unwrap();
    let output = fmrai(&["run", file.to_str().unwrap()]);
    assert!(output.status.success(), "{name}: {}", err(&output));
    folder.join(name)
}

/// All tensors of an analysis, by name.
fn tensors(results: &Path, analysis: &str) -> Vec<(String, Vec<f64>)> {
    let bytes = std::fs::read(results.join(analysis).join("tensors.safetensors")).unwrap();
    let numbers = |value: &TensorValue| match value.data() {
        TensorData::F32(numbers) => numbers.iter().map(|n| f64::from(*n)).collect(),
        TensorData::F64(numbers) => numbers.clone(),
        TensorData::I64(numbers) => numbers.iter().map(|n| *n as f64).collect(),
    };
    from_safetensors(&bytes).unwrap().0.into_iter().map(|(name, value)| (name, numbers(&value))).collect()
}

#[test]
fn analyses_do_not_depend_on_the_form_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = reference("bert");
    let checkpoint = run(folder.path(), "checkpoint", &json!({ "type": "hf_checkpoint", "path": path }));
    for (kind, file) in [("exported_program", "model.pt2"), ("torchscript", "model.pt")] {
        let other = run(folder.path(), kind, &json!({ "type": kind, "path": path.join(file) }));
        for analysis in ["attention_patterns", "attention_clustering"] {
            let (expected, found) = (tensors(&checkpoint, analysis), tensors(&other, analysis));
            assert_eq!(expected.len(), found.len());
            for ((name, expected), (_, found)) in expected.iter().zip(&found) {
                let close = Tolerance::ACTIVATION.check(found, expected);
                close.unwrap_or_else(|wrong| panic!("{kind} {analysis} {name}: {wrong}"));
            }
        }
    }
}

/// A model's graph is told without data, and its blocks as the configuration has them: 3 layers of 4 heads.
#[test]
fn inspect_tells_any_form_by_its_content() {
    for file in ["", "model.pt2", "model.pt"] {
        let path = reference("bert").join(file);
        let output = fmrai(&["inspect", path.to_str().unwrap()]);
        let told = out(&output);
        assert!(output.status.success(), "{file}: {}", err(&output));
        assert!(told.contains("encoder"), "{file}: {told}");
        assert!(told.contains("4 heads"), "{file}: {told}");
    }
}
