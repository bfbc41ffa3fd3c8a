//! What the finders see in small programs, one for each way to spell what they look for, against what these are built of
//! (`tests/reference/structure/kinds.py`), and whether a pass confirms all of it.

use std::collections::BTreeMap;
use std::path::Path;

use fmrai_core::graph::Graph;
use fmrai_core::structure::{AttentionKind, Coverage, EmbeddingKind, FeedForward, Structure, needed};
use fmrai_core::tracker::Tracker;
use fmrai_torch::model::{Model, NamedTensors};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

use crate::cases::{load, record, reference};
use crate::tensors::named;

/// What was found, in the words of the expectation; counts of 0 are left out.
fn found(structure: &Structure, coverage: &Coverage) -> BTreeMap<&'static str, Value> {
    let of = |kind| structure.attention.iter().filter(|b| b.kind == kind).count();
    let sorted = |mut all: Vec<usize>| {
        all.sort_unstable();
        all.dedup();
        json!(all)
    };
    let mut embeddings: BTreeMap<&str, usize> = BTreeMap::new();
    for embedding in &structure.embeddings {
        let name = match embedding.kind {
            EmbeddingKind::Learned => "learned",
            kind => kind.name(),
        };
        *embeddings.entry(name).or_default() += 1;
    }
    let words = structure.unembedding.iter().filter(|u| u.vocabulary).count();
    let all = [
        ("attention", json!(of(AttentionKind::SelfAttention))),
        ("cross_attention", json!(of(AttentionKind::CrossAttention))),
        ("channel_attention", json!(structure.channel_attention.len())),
        ("heads", sorted(structure.attention.iter().map(|b| b.heads).collect())),
        ("key_value_heads", sorted(structure.attention.iter().map(|b| b.key_value_heads).collect())),
        ("ffn", json!(structure.feed_forward.len())),
        ("gated", json!(structure.feed_forward.iter().any(FeedForward::gated))),
        ("residual", json!(structure.residual.len())),
        ("streams", json!(structure.residual.iter().map(|r| r.stream + 1).max().unwrap_or(0))),
        ("embeddings", json!(embeddings)),
        ("unembedding", json!(words)),
        ("heads_of_model", json!(structure.unembedding.len() - words)),
        ("left_over", json!(coverage.left_over_operations.len())),
    ];
    let empty = [json!(0), json!(false), json!([]), json!({})];
    all.into_iter().filter(|(_, value)| !empty.contains(value)).collect()
}

/// Numbers for every input, of the sizes that the program was exported with.
fn inputs(model: &dyn Model, graph: &dyn Graph) -> NamedTensors {
    let one = |name: String, float: bool, shape: Vec<i64>| {
        let numbers = Tensor::rand(shape.as_slice(), (Kind::Float, tch::Device::Cpu));
        (name, if float { numbers } else { (numbers * 50.0).to_kind(Kind::Int64) })
    };
    let of_graph = |name: &str| graph.tensors().iter().find(|t| t.name.as_deref() == Some(name));
    let all = model.inputs().into_iter().filter_map(|input| {
        let node = of_graph(&input.name)?;
        Some(one(input.name, node.dtype.is_float(), node.shape.clone()))
    });
    named(all.collect::<Vec<_>>())
}

#[test]
fn every_spelling_is_found_and_holds_on_a_pass() {
    let folder = reference("structure/kinds");
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for (name, wanted) in expected.iter().filter(|(name, _)| *name != "made_with") {
        let said = one(&folder.join(format!("{name}.pt2")), wanted);
        wrong.extend(said.into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(expected.len() > 30, "{} programs", expected.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn one(path: &Path, wanted: &BTreeMap<String, Value>) -> Vec<String> {
    tch::manual_seed(7);
    let _no_grad = tch::no_grad_guard();
    let model = load("exported_program", path).unwrap();
    let before = model.graph().unwrap().unwrap();
    let (mut structure, coverage) = Structure::with_coverage(before.as_ref());
    let seen = found(&structure, &coverage);
    let names: Vec<&str> = seen.keys().copied().chain(wanted.keys().map(String::as_str)).collect();
    let mut wrong = Vec::new();
    for name in names {
        let (seen, wanted) = (seen.get(name), wanted.get(name));
        // What is left over is only told where it matters.
        if seen != wanted && (name != "left_over" || wanted.is_some()) {
            let what = format!("{name}: {seen:?}, not {wanted:?}");
            if !wrong.contains(&what) {
                wrong.push(what);
            }
        }
    }
    let given = inputs(model.as_ref(), before.as_ref());
    let (mut tracker, graph) = record(model.as_ref(), &given);
    let request = needed(graph.as_ref(), &structure, u64::MAX);
    let pass = tracker.track(&request, &mut || Ok(model.forward(&given).map(|_| ())?)).unwrap();
    let checked = structure.check(graph.as_ref(), pass.as_ref());
    wrong.extend(checked.doubts.iter().map(ToString::to_string));
    let claims = !structure.attention.is_empty() || !structure.residual.is_empty();
    if claims && checked.hold == 0 && checked.open == 0 {
        wrong.push("nothing was checked".to_owned());
    }
    wrong
}
