//! Entries of a file as components.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::graph::{DataFlow, Graph, Node, TensorId};
use crate::structure::attention::{place, read_masks};
use crate::structure::positions::Finder;
use crate::structure::{AttentionKind, Structure, Writer};

use super::error::StructureFileError;
use super::names::resolved;

/// Puts the entries of one kind in the place of those that were found.
pub(super) fn replace(
    graph: &dyn Graph,
    structure: &mut Structure,
    kind: &str,
    list: &Value,
) -> Result<(), StructureFileError> {
    let wrong = |place: &str, what: &str| StructureFileError::Entry {
        place: place.to_owned(),
        what: what.to_owned(),
    };
    let Value::Array(entries) = list else { return Err(wrong(kind, "it has to be a list")) };
    let mut entries = entries.clone();
    for (i, entry) in entries.iter_mut().enumerate() {
        let place = format!("{kind}[{i}]");
        resolved(graph, entry, &place)?;
        let Value::Object(fields) = entry else { return Err(wrong(&place, "it has to be an object")) };
        defaults(graph, kind, fields, i);
    }
    match kind {
        "attention" => structure.attention = all(kind, entries)?,
        "channel_attention" => structure.channel_attention = all(kind, entries)?,
        "feed_forward" => structure.feed_forward = all(kind, entries)?,
        "norms" => structure.norms = all(kind, entries)?,
        "embeddings" => structure.embeddings = all(kind, entries)?,
        "unembedding" => structure.unembedding = all(kind, entries)?,
        _ => structure.residual = all(kind, entries)?,
    }
    for (i, block) in structure.attention.iter().enumerate().filter(|_| kind == "attention") {
        let place = format!("{kind}[{i}]");
        let shape = graph.tensor(block.probabilities).map_or(&[][..], |t| &t.shape);
        if block.kind == AttentionKind::Channels {
            return Err(wrong(&place, "attention over channels is listed as `channel_attention`"));
        }
        let matrices = shape.iter().rev().skip(2).fold(1_i64, |n, size| n.saturating_mul(*size));
        let heads = i64::try_from(block.heads).unwrap_or(0);
        if shape.len() < 2 || heads < 1 || matrices % heads != 0 {
            let what = format!("{} heads do not go into probabilities of shape {shape:?}", block.heads);
            return Err(StructureFileError::Entry { place, what });
        }
    }
    Ok(())
}

fn all<T: DeserializeOwned>(kind: &str, entries: Vec<Value>) -> Result<Vec<T>, StructureFileError> {
    let one = |(i, entry): (usize, Value)| {
        serde_json::from_value(entry).map_err(|error| StructureFileError::Entry {
            place: format!("{kind}[{i}]"),
            what: error.to_string(),
        })
    };
    entries.into_iter().enumerate().map(one).collect()
}

/// Fills in what follows from the tensors that an entry names.
fn defaults(graph: &dyn Graph, kind: &str, fields: &mut Map<String, Value>, layer: usize) {
    let made = match kind {
        "attention" | "channel_attention" => "probabilities",
        "residual" => "after",
        _ => "output",
    };
    let id = fields.get(made).and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok()).map(TensorId);
    let producer = id.and_then(|id| graph.producer(id));
    let mut put = |name: &str, value: Value| {
        fields.entry(name).or_insert(value);
    };
    put("layer", json!(layer));
    put("module", json!(producer.map_or("", |o| o.module.as_str())));
    if kind != "norms" && kind != "feed_forward" {
        put("operation", json!(producer.map_or(u32::MAX, |o| o.id.0)));
    }
    match kind {
        "attention" | "channel_attention" => {
            let channels = kind == "channel_attention";
            put("kind", json!(if channels { "channels" } else { "self_attention" }));
            let fused = producer.is_some_and(|o| o.outputs.len() > 1 && id != o.outputs.first().copied());
            put("form", json!(if fused { "fused" } else { "eager" }));
            let heads = fields.get("heads").cloned().unwrap_or(Value::Null);
            fields.entry("key_value_heads").or_insert(heads);
        }
        "residual" => {
            put("stream", json!(0));
            put("writers", json!([]));
        }
        "feed_forward" => {
            put("shared", json!(false));
            put("function", json!("other"));
            put("kind", json!("plain"));
            put("operations", json!([]));
        }
        "norms" => put("operations", json!(producer.map(|o| vec![o.id.0]).unwrap_or_default())),
        _ => {}
    }
}

/// Numbers what was replaced, and finds out what queries, keys and writers are.
pub(super) fn complete(graph: &dyn Graph, before: &Structure, structure: &mut Structure, writes: bool) {
    let mut positions = Finder::of(graph);
    let mut new: Vec<_> =
        structure.attention.iter().filter(|b| !before.attention.contains(b)).cloned().collect();
    place(&mut new, &mut positions);
    read_masks(graph, &mut new, None);
    for block in &mut structure.attention {
        if let Some(told) = new.iter().find(|b| b.probabilities == block.probabilities) {
            *block = told.clone();
        }
    }
    structure.attention.sort_by_key(|block| block.operation);
    structure.number();
    let replaced =
        before.attention.iter().map(|b| b.operation).ne(structure.attention.iter().map(|b| b.operation));
    if writes || replaced {
        let own: Vec<Vec<Writer>> =
            structure.residual.iter().map(|write| writers(before, structure, write.after)).collect();
        let flow = DataFlow::of(graph);
        let mut found: Vec<Vec<Writer>> = own;
        for (i, block) in structure.attention.iter().enumerate() {
            let after: BTreeSet<Node> = flow.descendants(Node::Tensor(block.context)).into_iter().collect();
            let first = structure.residual.iter().position(|w| after.contains(&Node::Tensor(w.written)));
            if let Some(writers) = first.and_then(|first| found.get_mut(first)) {
                writers.push(Writer::Attention(i));
            }
        }
        for (write, mut writers) in structure.residual.iter_mut().zip(found) {
            writers.sort_by_key(|writer| matches!(writer, Writer::Other));
            writers.dedup();
            if writers.len() > 1 {
                writers.retain(|writer| *writer != Writer::Other);
            }
            write.writers = if writers.is_empty() { vec![Writer::Other] } else { writers };
        }
    }
}

/// The writers of an addition that were found before, but for attention, whose numbers may be others now.
fn writers(before: &Structure, now: &Structure, after: TensorId) -> Vec<Writer> {
    let old = before.residual.iter().find(|write| write.after == after);
    let kept = old.into_iter().flat_map(|write| write.writers.iter().copied());
    let ffn = kept.filter(|writer| !matches!(writer, Writer::Attention(_)));
    let same = before.feed_forward.len() == now.feed_forward.len();
    ffn.filter(|writer| same || !matches!(writer, Writer::FeedForward(_))).collect()
}
