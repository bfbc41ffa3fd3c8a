//! Streams of graphs built by hand.

use crate::graph::testing::Builder;
use crate::graph::{TensorId, Value};
use crate::structure::{Attention, Positions, Structure};

const B: i64 = 3;
const H: i64 = 4;
const D: i64 = 8;
const E: i64 = H * D;

fn embedded(b: &mut Builder, input: &str, length: i64) -> TensorId {
    let ids = b.ids(input, &[B, length]);
    let x = b.embedding(ids, E);
    b.norm(x)
}

fn heads(b: &mut Builder, x: TensorId) -> TensorId {
    let [batch, length, _] = b.shape(x)[..] else { panic!("three axes") };
    let y = b.linear(x, E);
    let y = b.view(y, &[batch, length, H, D]);
    b.transpose(y, 1, 2)
}

/// Scores of queries and keys, after `change`, and what is made of them: the stream after the block.
fn attention(
    b: &mut Builder,
    x: TensorId,
    from: TensorId,
    change: impl Fn(&mut Builder, TensorId) -> TensorId,
) -> TensorId {
    let (q, k, v) = (heads(b, x), heads(b, from), heads(b, from));
    let transposed = b.transpose(k, 2, 3);
    let product = b.matmul(q, transposed);
    let scores = b.scale(product, 0.3);
    let scores = change(b, scores);
    let probabilities = b.softmax(scores, -1);
    let keys = b.shape(v)[2];
    let used =
        if b.shape(probabilities)[3] == keys { probabilities } else { b.slice(probabilities, -1, 0, keys) };
    let context = b.matmul(used, v);
    let context = b.transpose(context, 1, 2);
    let shape = b.shape(x);
    let joined = b.op("aten::reshape", &[("self", context.into())], &shape);
    let out = b.linear(joined, E);
    b.add(x, out)
}

fn same(_: &mut Builder, scores: TensorId) -> TensorId {
    scores
}

fn found(b: Builder) -> Vec<Attention> {
    Structure::of(&b.build()).attention
}

fn both(block: &Attention) -> (&Positions, &Positions) {
    (block.query_positions.as_ref().unwrap(), block.key_positions.as_ref().unwrap())
}

#[test]
fn each_side_of_an_encoder_decoder_has_its_own() {
    let mut b = Builder::new();
    let memory = embedded(&mut b, "input_ids", 7);
    let mask = b.input("attention_mask", &[B, 7]);
    let masked = |b: &mut Builder, scores: TensorId| {
        let wide = b.unsqueeze(mask, 1);
        let wide = b.unsqueeze(wide, 1);
        b.add(scores, wide)
    };
    let memory = attention(&mut b, memory, memory, masked);
    let x = embedded(&mut b, "decoder_input_ids", 12);
    let x = attention(&mut b, x, x, same);
    attention(&mut b, x, memory, masked);
    let blocks = found(b);
    let inputs = |p: &Positions| (p.inputs.clone(), p.before, p.after, p.length);
    let encoder = (vec!["input_ids".to_owned(), "attention_mask".to_owned()], 0, 0, 7);
    let decoder = (vec!["decoder_input_ids".to_owned()], 0, 0, 12);
    for (block, [query, key]) in
        blocks.iter().zip([[&encoder, &encoder], [&decoder, &decoder], [&decoder, &encoder]])
    {
        assert_eq!((&inputs(both(block).0), &inputs(both(block).1)), (query, key));
    }
    assert_eq!(both(&blocks[0]).0.sequence, both(&blocks[2]).1.sequence);
    assert_ne!(both(&blocks[0]).0.sequence, both(&blocks[1]).0.sequence);
    assert_eq!(both(&blocks[1]).0.sources, ["decoder_input_ids"]);
    assert_eq!(both(&blocks[2]).0.sources, ["input_ids", "attention_mask", "decoder_input_ids"]);
}

#[test]
fn merged_axes_are_told_apart_again() {
    let mut b = Builder::new();
    let x = embedded(&mut b, "input_ids", 5);
    let flat = b.view(x, &[B * 5, E]);
    let flat = b.linear(flat, E);
    let wide = b.linear(flat, 4 * E);
    let wide = b.unary("aten::gelu", wide);
    let back = b.linear(wide, E);
    let back = b.view(back, &[B, 5, E]);
    let y = b.add(x, back);
    attention(&mut b, y, y, same);
    let graph = b.build();
    let structure = Structure::of(&graph);
    assert_eq!(both(&structure.attention[0]).0.inputs, ["input_ids"]);
    let block = structure.feed_forward.iter().find_map(|block| block.positions.as_ref());
    assert_eq!(block.unwrap().inputs, ["input_ids"]);
}

#[test]
fn what_the_model_adds_shifts_the_tokens() {
    let mut b = Builder::new();
    let x = embedded(&mut b, "input_ids", 5);
    let added = b.parameter("cls", &[1, 2, E]);
    let added = b.expand(added, &[B, 2, E]);
    let x = b.cat(&[added, x], 1);
    // A sink besides, after the keys.
    let sink = |b: &mut Builder, scores: TensorId| {
        let sink = b.parameter("sink", &[1, H, 1, 1]);
        let sink = b.expand(sink, &[B, H, 7, 1]);
        b.cat(&[scores, sink], -1)
    };
    let x = attention(&mut b, x, x, sink);
    let x = b.slice(x, 1, 2, 7);
    attention(&mut b, x, x, same);
    let blocks = found(b);
    let of = |p: &Positions| (p.inputs.clone(), p.before, p.after);
    let (query, key) = both(&blocks[0]);
    assert_eq!(of(query), (vec!["input_ids".to_owned()], 2, 0));
    assert_eq!(of(key), (vec!["input_ids".to_owned()], 2, 1));
    assert_eq!(query.sequence, key.sequence);
    assert_eq!(of(both(&blocks[1]).0), (vec!["input_ids".to_owned()], 0, 0));
}

#[test]
fn windows_and_pooled_sequences_are_those_of_no_input() {
    let mut b = Builder::new();
    let x = embedded(&mut b, "input_ids", 8);
    let windows = b.view(x, &[B * 2, 4, E]);
    let y = attention(&mut b, windows, windows, same);
    let whole = b.view(y, &[B, 8, E]);
    let joined = b.add(whole, x);
    let pooled = b.op(
        "aten::slice.Tensor",
        &[
            ("self", joined.into()),
            ("dim", Value::Int(1)),
            ("start", Value::Size(0)),
            ("end", Value::Size(8)),
            ("step", Value::Size(2)),
        ],
        &[B, 4, E],
    );
    let z = attention(&mut b, pooled, pooled, same);
    attention(&mut b, z, joined, same);
    let blocks = found(b);
    let (query, _) = (blocks[0].query_positions.as_ref(), ());
    assert!(query.is_none_or(|p| p.inputs.is_empty()), "{query:?}");
    let (query, key) = both(&blocks[1]);
    assert!(query.inputs.is_empty() && query.sources == ["input_ids"], "{query:?}");
    assert_eq!(query.sequence, key.sequence);
    let (query, key) = both(&blocks[2]);
    assert_ne!(query.sequence, key.sequence);
    assert_eq!(key.inputs, ["input_ids"]);
}

#[test]
fn patches_of_an_image_with_a_class_token_are_one_sequence() {
    let mut b = Builder::new();
    let image = b.input("pixel_values", &[B, 3, 16, 16]);
    let weight = b.parameter("patch", &[E, 3, 4, 4]);
    let arguments = [("input", image.into()), ("weight", weight.into())];
    let patches = b.op("aten::conv2d", &arguments, &[B, E, 4, 4]);
    let patches = b.op("aten::flatten.using_ints", &[("self", patches.into())], &[B, E, 16]);
    let patches = b.transpose(patches, 1, 2);
    let class = b.parameter("cls", &[1, 1, E]);
    let class = b.expand(class, &[B, 1, E]);
    let x = b.cat(&[class, patches], 1);
    attention(&mut b, x, x, same);
    let blocks = found(b);
    let (query, key) = both(&blocks[0]);
    assert_eq!(query.sequence, key.sequence);
    assert!(query.inputs.is_empty() && query.sources == ["pixel_values"] && query.length == 17, "{query:?}");
}
