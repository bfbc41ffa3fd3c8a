//! What the fuzz targets do with their bytes, one function for each parser: the outcome is a value or an error, never a
//! panic, a crash or a wait without end.
//!
//! The tests of changed files run these functions too, so they compile with every change.

#![allow(dead_code, reason = "each fuzz target uses one of them")]
#![allow(clippy::expect_used, reason = "there is room for a temporary file")]

use std::path::Path;

use fmrai_core::activations::{ActivationFolder, BatchFile, BatchHeader};
use fmrai_core::analyzer::State;
use fmrai_core::graph::{from_json, to_json};
use fmrai_core::structure::Structure;
use fmrai_core::tensor::DType;
use fmrai_host::checkpoint::Checkpoint;
use fmrai_host::plan::{Catalogue, Plan};
use fmrai_torch::data::{DataContext, RegisteredDataSource};
use fmrai_torch::model::{Axis, InputSpec, LoadContext, RegisteredModelSource};
use fmrai_torch::text::Tokenizer;
use serde_json::{Value, json};

/// The config of a small decoder.
const CONFIG: &str =
    r#"{"model_type": "gpt2", "n_embd": 4, "n_head": 1, "n_layer": 1, "n_positions": 4, "vocab_size": 4}"#;

/// A plan. One without mistakes is resolved.
pub(crate) fn plan(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let catalogue = Catalogue::linked().expect("analyzers with names of their own");
    let plan = Plan::parse(text, &catalogue);
    let _ = plan.resolve(Path::new("/nowhere/plan.json"));
}

/// A graph; one that is read is read again from what is written of it, and its structure is looked for.
pub(crate) fn graph(bytes: &[u8]) {
    let Some(graph) = std::str::from_utf8(bytes).ok().and_then(|text| from_json(text).ok()) else { return };
    let _ = Structure::of(&graph);
    let written = to_json(&graph).expect("what was read is written");
    let again = from_json(&written).expect("what was written is read");
    assert_eq!(to_json(&again).expect("what was read is written"), written);
}

/// The state of an analyzer.
pub(crate) fn state(bytes: &[u8]) {
    if let Ok(state) = State::from_bytes(bytes) {
        let _ = state.to_bytes();
    }
}

/// The samples of a stored batch.
pub(crate) fn batch_header(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = BatchHeader::from_json(text);
    }
}

/// A file of a stored batch.
pub(crate) fn batch(bytes: &[u8]) {
    in_folder("batch.safetensors", bytes, |folder| {
        let _ = BatchFile::open(&folder.join("batch.safetensors"), &[]);
    });
}

/// The manifest of stored activations.
pub(crate) fn manifest(bytes: &[u8]) {
    in_folder("manifest.json", bytes, |folder| {
        let _ = ActivationFolder::open(folder);
    });
}

/// The checkpoint of an unfinished run.
pub(crate) fn run_checkpoint(bytes: &[u8]) {
    in_folder(".checkpoint/checkpoint.json", bytes, |folder| {
        let _ = Checkpoint::load(folder);
    });
}

/// A tokenizer; one that is read is asked for a text's tokens and their text.
pub(crate) fn tokenizer(bytes: &[u8]) {
    in_folder("tokenizer.json", bytes, |folder| {
        let Ok(tokenizer) = Tokenizer::read(folder, 4096, None) else { return };
        if let Ok(encoded) = tokenizer.encode("The keeper wrote é, 東 and \u{0}.", Some(16)) {
            let _ = tokenizer.decode(&encoded.token_ids);
        }
    });
}

/// The config of a checkpoint without weights.
pub(crate) fn config(bytes: &[u8]) {
    in_folder("config.json", bytes, load_checkpoint);
}

/// The index of shards of a checkpoint.
pub(crate) fn index(bytes: &[u8]) {
    in_folder("model.safetensors.index.json", bytes, |folder| {
        write(&folder.join("config.json"), CONFIG.as_bytes());
        load_checkpoint(folder);
    });
}

/// The weights of a checkpoint.
pub(crate) fn weights(bytes: &[u8]) {
    in_folder("model.safetensors", bytes, |folder| {
        write(&folder.join("config.json"), CONFIG.as_bytes());
        load_checkpoint(folder);
    });
}

/// A file of llama.cpp; a text is read by what loads.
pub(crate) fn gguf(bytes: &[u8]) {
    in_folder("model.gguf", bytes, |folder| {
        let source = json!({ "type": "gguf", "path": "model.gguf" });
        let source: Box<dyn RegisteredModelSource> = serde_json::from_value(source).expect("a source");
        let loaded = source.load(&LoadContext::new(folder, fmrai_torch::Device::Cpu));
        if let Some(tokenizer) = loaded.ok().as_ref().and_then(|model| model.tokenizer()) {
            let _ = tokenizer.encode("The keeper wrote \u{e9} in a book.\u{0}", Some(8));
        }
    });
}

fn load_checkpoint(folder: &Path) {
    let source: Box<dyn RegisteredModelSource> =
        serde_json::from_value(json!({ "type": "hf_checkpoint", "path": folder })).expect("a source");
    let _ = source.load(&LoadContext::new(folder, fmrai_torch::Device::Cpu));
}

/// Texts, one a line.
pub(crate) fn text(bytes: &[u8]) {
    read(bytes, &json!({ "type": "text", "path": "data", "batch_size": 3 }), &ids());
}

/// Texts in a column of CSV.
pub(crate) fn csv(bytes: &[u8]) {
    read(bytes, &json!({ "type": "csv", "path": "data", "column": "text", "batch_size": 3 }), &ids());
}

/// Texts in a field of JSON lines.
pub(crate) fn json_lines(bytes: &[u8]) {
    read(bytes, &json!({ "type": "jsonl", "path": "data", "field": "text", "batch_size": 3 }), &ids());
}

/// Pairs of texts.
pub(crate) fn pairs(bytes: &[u8]) {
    read(bytes, &json!({ "type": "pairs", "path": "data", "batch_size": 2 }), &ids());
}

/// An array of `NumPy`.
pub(crate) fn npy(bytes: &[u8]) {
    let axes = vec![Axis::Range { min: 1, max: None }, Axis::Fixed(3)];
    let input = InputSpec {
        name: "x".to_owned(),
        dtype: Some(DType::Float32),
        axes: Some(axes),
        required: true,
        values: None,
    };
    read(bytes, &json!({ "type": "tensors", "files": { "x": "data" }, "batch_size": 2 }), &[input]);
}

/// Tensors as data.
pub(crate) fn tensors(bytes: &[u8]) {
    read(bytes, &json!({ "type": "tensors", "path": "data", "batch_size": 2 }), &ids());
}

fn ids() -> [InputSpec; 1] {
    let any = || Axis::Range { min: 1, max: None };
    let axes = Some(vec![any(), any()]);
    [InputSpec {
        name: "input_ids".to_owned(),
        dtype: Some(DType::Int64),
        axes,
        required: true,
        values: None,
    }]
}

/// Reads all batches of the bytes as data.
fn read(bytes: &[u8], source: &Value, inputs: &[InputSpec]) {
    let source: Box<dyn RegisteredDataSource> = serde_json::from_value(source.clone()).expect("a source");
    in_folder("data", bytes, |base| {
        let tokenizer = json!({ "version": "1.0", "pre_tokenizer": { "type": "Whitespace" },
            "model": { "type": "WordLevel", "vocab": { "[UNK]": 0, "the": 1 }, "unk_token": "[UNK]" } });
        write(&base.join("tokenizer.json"), tokenizer.to_string().as_bytes());
        let tokenizer = Tokenizer::read(base, 2, Some(0)).ok();
        let context = DataContext { base, tokenizer: tokenizer.as_ref(), max_tokens: Some(16), inputs };
        let Ok(mut batches) = source.open(&context) else { return };
        while let Ok(Some(batch)) = batches.next_batch() {
            assert!(!batch.samples.is_empty());
        }
    });
}

fn in_folder(name: &str, bytes: &[u8], work: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(&folder.path().join(name), bytes);
    work(folder.path());
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a temporary folder");
    std::fs::write(path, bytes).expect("a temporary file");
}
