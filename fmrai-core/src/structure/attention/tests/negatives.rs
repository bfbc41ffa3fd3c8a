//! What looks like attention and is none.

use crate::graph::Value;

use super::*;

/// Nothing is found in what `build` makes of `[batch, token, channel]`.
fn nothing(name: &str, build: impl FnOnce(&mut Builder, TensorId)) {
    let mut b = Builder::new();
    let x = tokens(&mut b, "input_ids", T);
    build(&mut b, x);
    check(name, b, &[]);
}

#[test]
fn classifier() {
    nothing("classifier", |b, x| {
        let logits = b.linear(x, 10);
        b.softmax(logits, -1);
    });
    nothing("classifier by matmul with a transposed weight", |b, x| {
        let weight = b.constant(&[10, E]);
        let weight = b.transpose(weight, 0, 1);
        let weight = b.scale(weight, 2.0);
        let logits = b.matmul(x, weight);
        let probabilities = b.softmax(logits, -1);
        let classes = b.constant(&[10, E]);
        b.matmul(probabilities, classes);
    });
}

#[test]
fn routers() {
    nothing("sparse router", |b, x| {
        let logits = b.linear(x, 6);
        let probabilities = b.softmax(logits, -1);
        let arguments = [("self", probabilities.into()), ("k", Value::Int(2))];
        let top = b.record("aten::topk", &arguments, &[vec![B, T, 2], vec![B, T, 2]]);
        let gate = b.unsqueeze(top[0], 2);
        let experts = b.linear(x, 2 * E);
        let experts = b.view(experts, &[B, T, 2, E]);
        b.matmul(gate, experts);
    });
    nothing("dense router", |b, x| {
        let logits = b.linear(x, 6);
        let probabilities = b.softmax(logits, -1);
        let gate = b.unsqueeze(probabilities, 2);
        let experts = b.linear(x, 6 * E);
        let experts = b.view(experts, &[B, T, 6, E]);
        b.matmul(gate, experts);
    });
}

#[test]
fn pooling_and_gates() {
    nothing("pooling with a learned vector", |b, x| {
        let w = b.parameter("w", &[E, 1]);
        let scores = b.matmul(x, w);
        let scores = b.transpose(scores, 1, 2);
        let weights = b.softmax(scores, -1);
        b.matmul(weights, x);
    });
    nothing("gated pooling", |b, x| {
        let (gate, value) = (b.linear(x, E), b.linear(x, E));
        let (gate, value) = (b.unary("aten::sigmoid", gate), b.unary("aten::tanh", value));
        let gated = b.mul(gate, value);
        let scores = b.linear(gated, 1);
        let scores = b.transpose(scores, 1, 2);
        let weights = b.softmax(scores, -1);
        b.matmul(weights, x);
    });
    nothing("softmax gate", |b, x| {
        let gate = b.linear(x, E);
        let gate = b.softmax(gate, -1);
        let gated = b.mul(gate, x);
        b.linear(gated, E);
    });
}

#[test]
fn softmax_over_another_axis() {
    for dim in [0, 1, 2, -2] {
        nothing("softmax over another axis", |b, x| {
            let [q, k, v] = [(); 3].map(|()| project(b, x, H));
            let scores = scaled_product(b, q, k);
            let weights = b.softmax(scores, dim);
            b.matmul(weights, v);
        });
    }
}

#[test]
fn losses() {
    nothing("contrastive loss", |b, x| {
        let z = b.linear(x, D);
        let transposed = b.transpose(z, 1, 2);
        let similarity = b.matmul(z, transposed);
        let similarity = b.scalar("aten::div.Tensor", similarity, 0.07);
        let p = b.softmax(similarity, -1);
        let arguments = [("self", similarity.into()), ("dim", Value::Int(-1))];
        let log = b.op("aten::log_softmax.int", &arguments, &[B, T, T]);
        let y = b.mul(p, log);
        b.op("aten::sum", &[("self", y.into())], &[]);
    });
}

#[test]
fn linear_attention_and_lost_matrices() {
    nothing("linear attention", |b, x| {
        let [q, k, v] = [(); 3].map(|()| project(b, x, H));
        let q = b.softmax(q, -1);
        let k = b.softmax(k, -2);
        let transposed = b.transpose(k, -1, -2);
        let state = b.matmul(transposed, v);
        b.matmul(q, state);
    });
    nothing("the two axes of the product are not those of the softmax", |b, x| {
        let [q, k, v] = [(); 3].map(|()| project(b, x, H));
        let scores = scaled_product(b, q, k);
        let mixed = b.permute(scores, &[0, 2, 1, 3]);
        let weights = b.softmax(mixed, -1);
        let v = b.transpose(v, 1, 2);
        let weights = b.slice(weights, 3, 0, H);
        b.matmul(weights, v);
    });
    nothing("attention probabilities times a plain weight", |b, x| {
        let [q, k] = [(); 2].map(|()| project(b, x, H));
        let scores = scaled_product(b, q, k);
        let weights = b.softmax(scores, -1);
        let table = b.parameter("table", &[T, D]);
        b.matmul(weights, table);
    });
}
