//! What the finders see in graphs of real architectures, against what their configurations say.
//!
//! The graphs were exported by `tests/reference/structure/make.py`. `STRUCTURE_GRAPHS=folder` tries those of another
//! folder that the script made.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of a test")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use fmrai_core::graph::{RecordedGraph, from_json};
use fmrai_core::structure::{AttentionKind, Coverage, FeedForward, Structure};
use serde_json::{Value, json};

fn folder() -> PathBuf {
    std::env::var_os("STRUCTURE_GRAPHS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/structure/graphs"),
        PathBuf::from,
    )
}

fn read(path: &Path) -> RecordedGraph {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    from_json(&text).unwrap()
}

fn of_role<'s>(structure: &'s Structure, role: &str) -> Vec<&'s FeedForward> {
    structure.feed_forward.iter().filter(|b| b.role() == role).collect()
}

/// What was found, in the words of the expectation.
fn found(structure: &Structure) -> BTreeMap<&'static str, Value> {
    let attention = |kind| structure.attention.iter().filter(|b| b.kind == kind).count();
    let ffn = of_role(structure, "ffn");
    let one = |values: Vec<Value>| match values.as_slice() {
        [first, rest @ ..] if rest.iter().all(|v| v == first) => first.clone(),
        _ => json!(values),
    };
    let mut embeddings: BTreeMap<&str, usize> = BTreeMap::new();
    let kinds: Vec<Value> = structure.embeddings.iter().map(|e| json!(e.kind)).collect();
    for kind in &kinds {
        *embeddings.entry(kind.as_str().unwrap()).or_default() += 1;
    }
    embeddings.remove("learned");
    let words: Vec<_> = structure.unembedding.iter().filter(|u| u.vocabulary).collect();
    let streams = structure.residual.iter().map(|r| r.stream + 1).max().unwrap_or(0);
    BTreeMap::from([
        ("attention", json!(attention(AttentionKind::SelfAttention))),
        ("cross_attention", json!(attention(AttentionKind::CrossAttention))),
        ("ffn", json!(ffn.len())),
        ("shared_expert", json!(of_role(structure, "shared_expert").len())),
        ("neurons", one(ffn.iter().map(|b| json!(b.neurons)).collect())),
        ("function", one(ffn.iter().map(|b| json!(b.function)).collect())),
        ("gated", one(ffn.iter().map(|b| json!(b.gated())).collect())),
        ("experts", one(ffn.iter().map(|b| json!(b.experts.map(|e| e.count))).collect())),
        ("residual", json!(structure.residual.len())),
        ("streams", json!(streams)),
        ("unembedding", words.first().map_or(json!(0), |u| json!(u.size))),
        ("tied", json!(words.first().is_some_and(|u| u.tied))),
        ("head", json!(structure.unembedding.len() - words.len())),
        ("norms", json!(structure.norms.len())),
        ("embeddings", json!(embeddings)),
    ])
}

/// Differences between the two, but for what the configuration does not tell.
fn differences(wanted: &Value, found: &BTreeMap<&'static str, Value>) -> Vec<String> {
    let none = wanted["ffn"] == json!(0);
    found
        .iter()
        .filter(|(name, value)| {
            let of_block = ["neurons", "function", "gated", "experts"].contains(name);
            let open = wanted[**name].is_null() && **name != "experts";
            &wanted[**name] != *value && !open && !(none && of_block)
        })
        .filter(|(name, _)| wanted["open"].as_array().is_none_or(|open| !open.contains(&json!(name))))
        .map(|(name, value)| format!("{name}: {value}, not {}", wanted[*name]))
        .collect()
}

#[test]
fn structure_is_what_the_configuration_says() {
    let folder = folder();
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (name, wanted) in expected.iter().filter(|(name, _)| *name != "made_with") {
        let path = folder.join(format!("{name}.json.gz"));
        if !path.exists() {
            wrong.push(format!("{name}: no such graph"));
            continue;
        }
        let graph = read(&path);
        let (structure, coverage) = Structure::with_coverage(&graph);
        report(name, &structure, &coverage);
        tried += 1;
        let differences = differences(wanted, &found(&structure));
        wrong.extend(differences.into_iter().map(|d| format!("{name}: {d}")));
        let text = serde_json::to_string(&structure).unwrap();
        assert_eq!(serde_json::from_str::<Structure>(&text).unwrap(), structure, "{name} as JSON");
        assert_eq!(
            coverage.understood() + coverage.left_over_operations.len(),
            coverage.operations,
            "{name}"
        );
    }
    assert!(tried > 0, "no graph in {}", folder.display());
    assert!(wrong.is_empty(), "{} of {tried} graphs:\n{}", wrong.len(), wrong.join("\n"));
}

/// One line, for those who run it with `--no-capture`.
fn report(name: &str, structure: &Structure, coverage: &Coverage) {
    let (understood, all) = (coverage.understood(), coverage.operations);
    let (attention, ffn) = (structure.attention.len(), structure.feed_forward.len());
    let (norms, residual) = (structure.norms.len(), structure.residual.len());
    let rest = &coverage.left_over;
    println!(
        "{name}: {attention} attention, {ffn} ffn, {norms} norms, {residual} residual, {understood}/{all}, {rest:?}"
    );
}
