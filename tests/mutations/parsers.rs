//! The functions of the fuzz targets on changed files of their kinds: they compile, and a part of what they do is done in
//! every run of the tests.

use std::path::Path;

use fmrai_core::activations::BATCHES;
use serde_json::json;

use super::common::{ROOT, reference};
use super::fuzzed;
use super::mutate::{bytes, json as changed, safetensors, text};
use super::stored::{captured, unfinished};
use super::trial::cases;

type Parser = fn(&[u8]);

/// How a file is changed.
#[derive(Clone, Copy)]
enum Kind {
    Json,
    Safetensors,
    Text,
    /// Its first bytes, where the numbers are.
    Start,
}

/// Bytes of a file that are its start.
const START: usize = 4000;

/// Every parser with a file that it reads.
fn parsers() -> Vec<(Parser, Kind, Vec<u8>)> {
    let file = |path: &Path| std::fs::read(path).unwrap();
    let (activations, _) = captured();
    let (part, _) = unfinished();
    let found = |files: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>, what: &str| {
        let name = files.keys().find(|name| name.display().to_string().contains(what));
        files[name.unwrap_or_else(|| panic!("no {what}"))].clone()
    };
    let batch = found(activations, BATCHES);
    let header: usize = u64::from_le_bytes(*batch.first_chunk().unwrap()).try_into().unwrap();
    let header: serde_json::Value = serde_json::from_slice(&batch[8..8 + header]).unwrap();
    let header = header["__metadata__"]["batch"].as_str().unwrap().as_bytes().to_vec();
    let bert = reference("bert");
    let gguf = |name: &str| file(&Path::new(ROOT).join(format!("tests/reference/gguf/models/{name}.gguf")));
    vec![
        (fuzzed::plan, Kind::Json, file(&Path::new(ROOT).join("examples/minilm.json"))),
        (fuzzed::graph, Kind::Json, found(activations, "graph.json")),
        (fuzzed::manifest, Kind::Json, found(activations, "manifest.json")),
        (fuzzed::batch_header, Kind::Json, header),
        (fuzzed::batch, Kind::Safetensors, batch),
        (fuzzed::state, Kind::Safetensors, found(part, ".safetensors")),
        (fuzzed::run_checkpoint, Kind::Json, found(part, "checkpoint.json")),
        (fuzzed::tokenizer, Kind::Json, file(&bert.join("tokenizer.json"))),
        (fuzzed::config, Kind::Json, file(&bert.join("config.json"))),
        (fuzzed::index, Kind::Json, file(&reference("bert-sharded").join("model.safetensors.index.json"))),
        (fuzzed::weights, Kind::Safetensors, file(&bert.join("model.safetensors"))),
        (fuzzed::gguf, Kind::Start, gguf("llama-tied")),
        (fuzzed::gguf, Kind::Start, gguf("qwen2")),
        (fuzzed::gguf, Kind::Start, gguf("bert")),
        (fuzzed::text, Kind::Text, b"the keeper\nwrote\n\nin a book\n".to_vec()),
        (fuzzed::csv, Kind::Text, b"id,text\n1,\"the \"\"keeper\"\"\"\n2,\n3,wrote\n".to_vec()),
        (
            fuzzed::json_lines,
            Kind::Json,
            json!({ "text": "the keeper", "more": [1] }).to_string().into_bytes(),
        ),
        (
            fuzzed::pairs,
            Kind::Json,
            json!({ "clean": "the man is", "corrupted": "the way is", "answer": " the", "marks": { "who": "man" } })
                .to_string()
                .into_bytes(),
        ),
        (fuzzed::npy, Kind::Text, super::data::npy()),
        (fuzzed::tensors, Kind::Safetensors, super::data::small_tensors()),
    ]
}

#[test]
fn parsers_survive_what_fuzz_targets_give_them() {
    let parsers = parsers();
    cases("parsers", 400, move |random, _| {
        let (parse, kind, content) = random.one_of(&parsers);
        let content = match kind {
            _ if random.once_in(5) => bytes(random, content),
            Kind::Json => changed(random, std::str::from_utf8(content).unwrap()),
            Kind::Safetensors => safetensors(random, content),
            Kind::Text => text(random, &String::from_utf8_lossy(content)),
            Kind::Start => {
                let (start, rest) = content.split_at(START.min(content.len()));
                [bytes(random, start), rest.to_vec()].concat()
            }
        };
        parse(&content);
    });
}
