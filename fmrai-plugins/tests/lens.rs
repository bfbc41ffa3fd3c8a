//! The map from the last stream to the logits in graphs of real architectures, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path as File;

use fmrai_core::graph::{Graph, OperationId, RecordedGraph, from_json};
use fmrai_core::structure::{Structure, Writer, output_projections};
use fmrai_plugins::lens::frozen::Path;
use fmrai_plugins::lens::{Lens, LensError};
use serde_json::Value;

fn text(path: &File) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

fn zoo() -> Vec<(String, RecordedGraph)> {
    let folder = File::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/structure/graphs");
    let expected = std::fs::read(folder.join("expected.json")).unwrap();
    let expected: BTreeMap<String, Value> = serde_json::from_slice(&expected).unwrap();
    let names = expected.into_keys().filter(|name| name != "made_with");
    names
        .map(|name| {
            let graph = from_json(&text(&folder.join(format!("{name}.json.gz")))).unwrap();
            (name, graph)
        })
        .collect()
}

/// What has to be among the operations of a map, by the beginning of a model's name.
fn needed(name: &str) -> &'static [&'static str] {
    let of = |names: &[&str]| names.iter().any(|n| name.starts_with(n));
    match name {
        // 1 + w, then a soft-cap.
        _ if of(&["gemma2"]) => &["rsqrt", "add", "div", "tanh", "mul"],
        _ if of(&["gemma3"]) => &["rsqrt", "add", "mul"],
        // A scale behind the map; a norm that is written out.
        _ if of(&["cohere"]) => &["mean", "sub", "rsqrt", "mul"],
        _ if of(&["granite"]) => &["rsqrt", "div"],
        // Transforms of masked-language heads, with their own norm.
        _ if of(&["bert_eager", "bert_sdpa", "roberta", "deberta", "distilbert", "modernbert"]) => &["gelu"],
        _ if of(&["albert"]) => &["tanh"],
        _ => &[],
    }
}

#[test]
fn maps_of_real_architectures_are_followed_from_stream_to_logits() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for (name, graph) in zoo() {
        let structure = Structure::of(&graph);
        let has_map = structure.unembedding.iter().any(|u| u.vocabulary);
        let lens = match Lens::find(&graph, &structure) {
            Err(LensError::NoMap) if !has_map => continue,
            Ok(lens) => lens,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        tried += 1;
        let operations: Vec<&str> = lens.operations().collect();
        let lacking: Vec<_> = needed(&name).iter().filter(|n| !operations.contains(n)).collect();
        if !lacking.is_empty() {
            wrong.push(format!("{name}: {lacking:?} is not among {operations:?}"));
        }
        // The logits are the model's own result, and the stream is as wide as its additions.
        let logits = lens.logits().unwrap_or_else(|e| panic!("{name}: {e}"));
        let shape = |id| graph.tensor(id).unwrap().shape.clone();
        let last = structure.residual.iter().rfind(|r| r.stream == lens.stream_number()).unwrap();
        // What checks their type only has no result.
        let computes = |user: &&OperationId| !graph.operation(**user).unwrap().outputs.is_empty();
        let computed = graph.users(logits).iter().filter(computes).count();
        assert_eq!(computed, 0, "{name}: nothing is computed of the logits");
        assert_eq!(shape(logits).last(), Some(&(lens.tokens() as i64)), "{name}");
        assert_eq!(shape(last.after).last(), Some(&(lens.channels() as i64)), "{name}");
        // Post-norm models hand on the normalised sum.
        let post_norm = ["albert", "bart", "bert_", "deberta", "distilbert", "roberta"];
        let post_norm = post_norm.iter().any(|n| name.starts_with(n));
        assert_eq!(lens.stream() != last.after, post_norm, "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 70, "{tried} graphs have a map");
}

/// A graph with one operation under another name.
fn renamed(graph: &str, last: &str, name: &str) -> RecordedGraph {
    let mut json: Value = serde_json::from_str(graph).unwrap();
    let operations = json["operations"].as_array_mut().unwrap();
    let operation = operations.iter_mut().rfind(|o| o["name"] == last).unwrap();
    operation["name"] = name.into();
    from_json(&json.to_string()).unwrap()
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let folder = File::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/structure/graphs");
    let refused = |model: &str, last: &str, name: &str| {
        let graph = text(&folder.join(format!("{model}.json.gz")));
        let structure = Structure::of(&from_json(&graph).unwrap());
        Lens::find(&renamed(&graph, last, name), &structure).unwrap_err().to_string()
    };
    // Before the map, in its norm; a transform's function; and behind it.
    let norm = refused("gpt2_eager", "aten::layer_norm", "custom::norm");
    assert!(norm.contains("custom::norm in transformer.ln_f is not understood"), "{norm}");
    let transform = refused("bert_eager", "aten::gelu", "aten::celu");
    assert!(transform.contains("aten::celu in cls.predictions.transform"), "{transform}");
    let cap = refused("gemma2_eager", "aten::tanh", "aten::atan");
    assert!(cap.contains("aten::atan") && cap.contains("is not understood"), "{cap}");
}

#[test]
fn a_table_is_borrowed_where_there_is_no_map() {
    for (name, graph) in zoo() {
        let structure = Structure::of(&graph);
        if !name.starts_with("bert_gelu_new") {
            continue;
        }
        assert_eq!(Lens::find(&graph, &structure), Err(LensError::NoMap));
        let lens = Lens::borrowed(&graph, &structure).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(lens.logits(), Err("the map is not the model's"));
        assert_eq!(lens.operations().collect::<Vec<_>>(), ["token embedding"]);
    }
}

/// Where heads are joined, what follows is their output projection, in whatever spelling, and the way to the stream can be taken apart.
#[test]
fn output_projections_of_real_architectures_are_found_and_followed() {
    let (mut found, mut without, mut wrong) = (0, Vec::new(), Vec::new());
    // Windows of images are rolled back behind it.
    for (name, graph) in zoo().into_iter().filter(|(name, _)| !name.starts_with("swin")) {
        let structure = Structure::of(&graph);
        for (at, projection) in output_projections(&graph, &structure).into_iter().enumerate() {
            let attention = &structure.attention[at];
            let Some(projection) = projection else {
                without.push(format!("{name} {}", attention.module));
                continue;
            };
            found += 1;
            let shape = |id| graph.tensor(id).unwrap().shape.clone();
            let weight = shape(projection.weight);
            let channels = attention.heads as i64 * shape(attention.context).last().unwrap();
            let fits = projection.size as i64 == channels
                && weight[projection.axis] >= (projection.start + projection.size) as i64
                && shape(projection.input).last() == Some(&channels);
            if !fits {
                wrong.push(format!(
                    "{name} {}: {projection:?} of {weight:?}, {channels} channels",
                    attention.module
                ));
            }
            let write = structure.residual.iter().find(|w| w.writers == [Writer::Attention(at)]);
            if let Some(write) = write
                && let Err(error) = Path::find(&graph, &structure, &[projection.input], write.written)
            {
                wrong.push(format!("{name} {}: {error}", attention.module));
            }
        }
    }
    println!("{found} found, without: {without:#?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found > 150 && without.len() < found / 10, "{found} found, not {}", without.join("\n"));
}

/// Up to a soft-cap all decoders are affine once the scale of their norm is kept; masked-language heads are not.
#[test]
fn maps_are_taken_apart_unless_a_function_stands_in_them() {
    let mut capped = Vec::new();
    for (name, graph) in zoo() {
        let Ok(lens) = Lens::find(&graph, &Structure::of(&graph)) else { continue };
        match Path::to_logits(&graph, &lens) {
            Ok(path) if path.before_cap() => capped.push(name),
            Ok(path) => assert_eq!(lens.logits(), Ok(path.end()), "{name}"),
            Err(LensError::NotLinear { operation }) => {
                assert!(needed(&name).iter().any(|n| ["gelu", "tanh"].contains(n)), "{name}: {operation}");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
    assert!(!capped.is_empty() && capped.iter().all(|name| name.starts_with("gemma2")), "{capped:?}");
}
