//! Changed configs, tokenizers, weights, indexes of shards, and archives of exported programs.

use std::path::{Path, PathBuf};

use fmrai_torch::model::{LoadContext, Model, NamedTensors, RegisteredModelSource};
use fmrai_torch::{Device, Tensor};
use serde_json::{Value, json};

use super::common::ROOT;
use super::mutate::{Random, archive, bytes, json as changed, safetensors};
use super::trial::{assert_in_words, cases};

fn references(folder: &str) -> PathBuf {
    Path::new(ROOT).join("tests/reference").join(folder)
}

fn load(source: Value, base: &Path) -> Option<Box<dyn Model>> {
    let source: Box<dyn RegisteredModelSource> = serde_json::from_value(source).unwrap();
    match source.load(&LoadContext::new(base, Device::Cpu)) {
        Ok(model) => Some(model),
        Err(error) => {
            assert_in_words(&error.to_string());
            None
        }
    }
}

/// Files of a checkpoint beside each other, one of which is changed.
const FILES: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "model.safetensors",
    "model.safetensors.index.json",
];

/// A checkpoint with one changed file.
fn checkpoint(random: &mut Random, from: &Path, to: &Path) {
    let shard = "model-00002-of-00004.safetensors";
    let there: Vec<&str> =
        FILES.into_iter().chain([shard]).filter(|file| from.join(file).is_file()).collect();
    let chosen = *random.one_of(&there);
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == chosen {
            let old = std::fs::read(&path).unwrap();
            let new = match std::str::from_utf8(&old) {
                Ok(text) => changed(random, text),
                Err(_) if name.ends_with(".safetensors") => safetensors(random, &old),
                Err(_) => bytes(random, &old),
            };
            std::fs::write(to.join(name), new).unwrap();
        } else if there.contains(&name) || name.starts_with("model-") {
            std::os::unix::fs::symlink(&path, to.join(name)).unwrap();
        }
    }
}

/// What loads is also asked for a text's tokens, and run.
#[test]
fn changed_checkpoints_are_loaded_or_refused() {
    let models: Vec<PathBuf> =
        ["models/bert-sharded", "models/roberta", "decoders/gpt2", "decoders/gemma3", "decoders/llama-yarn"]
            .map(|name| references(name).canonicalize().unwrap())
            .into();
    for model in &models {
        assert!(
            load(json!({ "type": "hf_checkpoint", "path": model }), model).is_some(),
            "{}",
            model.display()
        );
    }
    cases("checkpoints", 150, move |random, folder| {
        let from = random.one_of(&models).clone();
        checkpoint(random, &from, folder);
        let Some(model) = load(json!({ "type": "hf_checkpoint", "path": folder }), folder) else { return };
        if let Some(tokenizer) = model.tokenizer()
            && let Err(error) = tokenizer.encode("The keeper wrote é in a book.\u{0}", Some(8))
        {
            assert_in_words(&error.to_string());
        }
        let row =
            |values: [i64; 4]| Tensor::from_slice(&values).and_then(|row| row.reshape(&[1, 4])).unwrap();
        let (ids, mask) = (row([1, 2, 3, 4]), row([1; 4]));
        let inputs = NamedTensors(vec![("input_ids".to_owned(), ids), ("attention_mask".to_owned(), mask)]);
        if let Err(error) = model.forward(&inputs) {
            assert_in_words(&error.to_string());
        }
    });
}

/// Programs are not run: their sizes may ask for more memory than there is. Their graph is made without elements.
#[test]
fn changed_archives_are_loaded_or_refused() {
    let programs = [
        "cond_on_size",
        "constants",
        "autocast_region",
        "containers",
        "index_with_none",
        "empty_tensors__core",
    ];
    let programs = programs.map(|name| references("programs").join(format!("{name}.pt2")));
    let whole = programs.iter().filter(|program| {
        let model = load(json!({ "type": "exported_program", "path": program }), program).unwrap();
        model.graph().unwrap().is_ok()
    });
    // The others choose their operations by their data.
    assert!(whole.count() >= 4);
    let programs = programs.map(|program| std::fs::read(program).unwrap());
    cases("archives", 300, move |random, folder| {
        let program = random.one_of(&programs).clone();
        let file = folder.join("model.pt2");
        std::fs::write(&file, archive(random, &program)).unwrap();
        let Some(model) = load(json!({ "type": "exported_program", "path": file }), folder) else { return };
        if let Some(Err(error)) = model.graph() {
            assert_in_words(&error.to_string());
        }
    });
}
