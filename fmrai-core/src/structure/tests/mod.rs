//! Blocks found in models built by hand.

mod experts;
mod functions;
mod negatives;
mod streams;

use crate::graph::testing::Builder;
use crate::graph::{RecordedGraph, TensorId, Value};

use super::*;

const B: i64 = 2;
const T: i64 = 5;
const E: i64 = 12;
const N: i64 = 20;

/// Embedded tokens, `[batch, token, channel]`.
fn tokens(b: &mut Builder) -> TensorId {
    let ids = b.ids("input_ids", &[B, T]);
    b.embedding(ids, E)
}

/// The structure of what `build` makes of the tokens.
fn structure(build: impl FnOnce(&mut Builder, TensorId)) -> (Structure, RecordedGraph) {
    let mut b = Builder::new();
    let x = tokens(&mut b);
    build(&mut b, x);
    let graph = b.build();
    (Structure::of(&graph), graph)
}

fn gelu(b: &mut Builder, x: TensorId) -> TensorId {
    let shape = b.shape(x);
    b.op("aten::gelu", &[("self", x.into()), ("approximate", Value::Text("none".to_owned()))], &shape)
}

/// `x + f(norm(x))` with a plain block.
fn layer(b: &mut Builder, x: TensorId) -> TensorId {
    let y = b.norm(x);
    let y = b.linear(y, N);
    let y = gelu(b, y);
    let y = b.linear(y, E);
    b.add(x, y)
}

/// Single-head attention over `x`, without its addition.
fn attention(b: &mut Builder, x: TensorId) -> TensorId {
    let [q, k, v] = [(); 3].map(|()| b.linear(x, E));
    let k = b.transpose(k, 1, 2);
    let scores = b.matmul(q, k);
    let p = b.softmax(scores, -1);
    let context = b.matmul(p, v);
    b.linear(context, E)
}

/// The only feed-forward block.
fn only(structure: &Structure) -> &FeedForward {
    match structure.feed_forward.as_slice() {
        [block] => block,
        other => panic!("{} blocks", other.len()),
    }
}
