//! The same model as a checkpoint, as an exported program and as TorchScript: the same results.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fmrai_core::tensor::{TensorData, TensorValue, from_safetensors};
use fmrai_core::tolerance::Tolerance;
use serde_json::{Value, json};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn fmrai(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fmrai")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn bert() -> PathBuf {
    Path::new(ROOT).join("tests/reference/models/bert").canonicalize().unwrap()
}

/// The results of a plan on a model.
fn run(folder: &Path, name: &str, model: &Value) -> PathBuf {
    let texts: Vec<String> =
        (0..24).map(|i| format!("The keeper wrote {}in a book.", "the weather ".repeat(i % 5))).collect();
    std::fs::write(folder.join("texts.txt"), texts.join("\n")).unwrap();
    let plan = json!({
        "format": 1, "model": model, "data": { "type": "text", "path": "texts.txt", "batch_size": 5 },
        "analyses": [{ "type": "attention_patterns" }, { "type": "attention_clustering" }], "output": name
    });
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, plan.to_string()).unwrap();
    let output = fmrai(&["run", file.to_str().unwrap()]);
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
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
    let path = bert();
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
        let path = bert().join(file);
        let output = fmrai(&["inspect", path.to_str().unwrap()]);
        let told = text(&output.stdout);
        assert!(output.status.success(), "{file}: {}", text(&output.stderr));
        assert!(told.contains("encoder"), "{file}: {told}");
        assert!(told.contains("4 heads"), "{file}: {told}");
    }
}
