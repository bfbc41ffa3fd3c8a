//! What is told of the blocks that were found.

use std::collections::BTreeMap;
use std::fmt::Write;

use fmrai_core::structure::{
    Attention, AttentionForm, AttentionKind, Coverage, FeedForward, FeedForwardKind, Norm, Residual, Role,
    Structure, Writer,
};

use crate::commands::count;

/// Kinds of operation that are left over and listed; the rest is counted.
const KINDS: usize = 8;

pub(super) fn text(structure: &Structure, coverage: &Coverage) -> String {
    let blocks = [
        (structure.attention.len(), "attention block"),
        (structure.channel_attention.len(), "block of attention over channels"),
        (structure.feed_forward.len(), "feed-forward block"),
        (structure.norms.len(), "norm"),
        (structure.embeddings.len(), "embedding"),
    ];
    let blocks = blocks.iter().filter(|(n, _)| *n > 0).map(|(n, what)| count(*n as u64, what));
    let blocks: Vec<String> = blocks.collect();
    let found = if blocks.is_empty() { "nothing found".to_owned() } else { blocks.join(", ") };
    let mut text = format!("structure: {found}\n");
    if structure.residual.is_empty() {
        let what = "no residual stream: feed-forward blocks are found where they are added to one, so a network of maps alone has none";
        let _ = writeln!(text, "  {what}");
    }
    layers(&mut text, structure);
    norms(&mut text, &structure.norms);
    ends(&mut text, structure);
    understood(&mut text, coverage);
    text
}

/// The blocks of one layer, as they are told.
#[derive(Default, PartialEq)]
struct Layer {
    stream: usize,
    blocks: Vec<String>,
    kinds: Vec<&'static str>,
}

/// Each layer of each stream, equal ones next to each other told once.
fn layers(text: &mut String, structure: &Structure) {
    let mut told = (vec![false; structure.attention.len()], vec![false; structure.feed_forward.len()]);
    let mut layers: Vec<Layer> = Vec::new();
    for write in &structure.residual {
        for writer in &write.writers {
            let block = match *writer {
                Writer::Attention(i) => structure.attention.get(i).map(|block| {
                    told.0[i] = true;
                    (attention_kind(block), attention(block))
                }),
                Writer::FeedForward(i) => structure.feed_forward.get(i).map(|block| {
                    told.1[i] = true;
                    (block.role(), feed_forward(block))
                }),
                Writer::Other => Some(("other", "something else".to_owned())),
            };
            if let Some((kind, block)) = block {
                put(&mut layers, write, kind, block);
            }
        }
    }
    let several = layers.iter().any(|layer| layer.stream > 0);
    let (mut first, mut stream, mut position) = (0, 0, 0);
    while let Some(layer) = layers.get(first) {
        if layer.stream != stream {
            (stream, position) = (layer.stream, 0);
        }
        let equal = layers[first..].iter().take_while(|other| *other == layer).count();
        let range = match equal {
            1 => format!("layer {position}"),
            _ => format!("layers {position}-{}", position + equal - 1),
        };
        let of = if several { format!(" of stream {stream}") } else { String::new() };
        let _ = writeln!(text, "  {range}{of}: {}", layer.blocks.join("; "));
        first += equal;
        position += equal;
    }
    let outside =
        structure.attention.iter().zip(&told.0).filter(|(_, told)| !**told).map(|(b, _)| attention(b));
    let mut rest: BTreeMap<String, u64> = BTreeMap::new();
    for block in outside.chain(structure.channel_attention.iter().map(attention)) {
        *rest.entry(block).or_default() += 1;
    }
    for (block, n) in rest {
        let _ = writeln!(text, "  besides: {n} x {block}");
    }
}

/// Puts a block into the layer under way, or into the next one if that has such a block already.
fn put(layers: &mut Vec<Layer>, write: &Residual, kind: &'static str, block: String) {
    let fits = |layer: &&mut Layer| {
        let done = layer.kinds.contains(&"ffn") && kind.contains("attention") && !parallel(write);
        layer.stream == write.stream && !done && (kind == "expert" || !layer.kinds.contains(&kind))
    };
    match layers.last_mut().filter(fits) {
        Some(layer) => {
            // Experts that are computed one after another are told once.
            if !layer.blocks.contains(&block) {
                layer.blocks.push(block);
            }
            layer.kinds.push(kind);
        }
        None => layers.push(Layer { stream: write.stream, blocks: vec![block], kinds: vec![kind] }),
    }
}

fn parallel(write: &Residual) -> bool {
    write.writers.len() > 1
}

fn attention_kind(block: &Attention) -> &'static str {
    match block.kind {
        AttentionKind::SelfAttention => "attention",
        AttentionKind::CrossAttention => "cross attention",
        AttentionKind::Channels => "attention over channels",
    }
}

fn attention(block: &Attention) -> String {
    let form = match block.form {
        AttentionForm::Eager => "eager",
        AttentionForm::Fused => "fused",
    };
    let heads = match block.key_value_heads {
        shared if shared != block.heads => format!("{} heads on {shared} of keys and values", block.heads),
        _ => count(block.heads as u64, "head"),
    };
    format!("{}, {form}, {heads}", attention_kind(block))
}

fn feed_forward(block: &FeedForward) -> String {
    let kind = match (block.kind, block.gated()) {
        (FeedForwardKind::Experts, true) => "gated experts",
        (FeedForwardKind::Experts, false) => "experts",
        _ if block.shared => "shared expert",
        (_, true) => "gated",
        (_, false) => "plain",
    };
    let experts = block.experts.map_or(String::new(), |e| format!("{} x ", e.count));
    format!("ffn, {kind}, {}, {experts}{}", block.function, count(block.neurons as u64, "neuron"))
}

fn norms(text: &mut String, norms: &[Norm]) {
    let mut kinds: BTreeMap<(&str, Option<String>), u64> = BTreeMap::new();
    for norm in norms {
        *kinds.entry((norm.kind.name(), norm.eps.map(|eps| format!("{eps:e}")))).or_default() += 1;
    }
    let told = kinds.iter().map(|((kind, eps), n)| {
        let eps = eps.as_ref().map_or(String::new(), |eps| format!(" (eps {eps})"));
        format!("{}{eps}", count(*n, kind))
    });
    let told: Vec<String> = told.collect();
    if !told.is_empty() {
        let _ = writeln!(text, "  norms: {}", told.join(", "));
    }
}

/// Where the streams begin and what becomes of them.
fn ends(text: &mut String, structure: &Structure) {
    let module = |module: &str| if module.is_empty() { String::new() } else { format!(" in {module}") };
    for embedding in &structure.embeddings {
        let rows = embedding.rows.map_or(String::new(), |rows| format!(", {}", count(rows as u64, "row")));
        let (kind, output) = (embedding.kind.name(), embedding.output);
        let _ = writeln!(text, "  embedding: {kind}{rows}, output {output}{}", module(&embedding.module));
    }
    for last in &structure.unembedding {
        let tied = if last.tied { ", tied to the embedding" } else { "" };
        let what = if last.vocabulary { "unembedding: vocabulary of" } else { "head: outputs" };
        let (size, output) = (last.size, last.output);
        let _ = writeln!(text, "  {what} {size}{tied}, output {output}{}", module(&last.module));
    }
    let mut streams: BTreeMap<usize, Vec<&Residual>> = BTreeMap::new();
    for write in &structure.residual {
        streams.entry(write.stream).or_default().push(write);
    }
    for (stream, writes) in streams {
        if let [first, .., last] | [first @ last] = writes.as_slice() {
            let n = count(writes.len() as u64, "addition");
            let _ =
                writeln!(text, "  residual stream {stream}: {n}, from {} to {}", first.before, last.after);
        }
    }
}

fn understood(text: &mut String, coverage: &Coverage) {
    let role = |role: Role| serde_json::json!(role).as_str().unwrap_or_default().replace('_', " ");
    let roles: Vec<String> = coverage.roles.iter().map(|(r, n)| format!("{} {n}", role(*r))).collect();
    let _ = writeln!(text, "understood: {} of {} operations", coverage.understood(), coverage.operations);
    if !roles.is_empty() {
        let _ = writeln!(text, "  {}", roles.join(", "));
    }
    let mut rest: Vec<_> = coverage.left_over.iter().collect();
    rest.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), *name));
    let mut listed: Vec<String> = rest.iter().take(KINDS).map(|(name, n)| format!("{n} {name}")).collect();
    if let Some(more) = rest.get(KINDS..).filter(|more| !more.is_empty()) {
        let operations: usize = more.iter().map(|(_, n)| **n).sum();
        listed.push(format!("{operations} of {}", count(more.len() as u64, "other kind")));
    }
    if !listed.is_empty() {
        let _ = writeln!(text, "  left over: {}", listed.join(", "));
    }
}
