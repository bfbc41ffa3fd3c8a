//! One block, computed in many ways.

use crate::graph::Value;

use super::*;

/// Queries, keys and values, `[batch, head, token, channel]`.
fn projections(b: &mut Builder) -> [TensorId; 3] {
    let x = tokens(b, "input_ids", T);
    [(); 3].map(|()| project(b, x, H))
}

/// The first two axes in one.
fn merge(b: &mut Builder, x: TensorId) -> TensorId {
    b.view(x, &[B * H, T, D])
}

#[test]
fn merged_axes() {
    let mut c = Case::new();
    let b = &mut c.b;
    let [q, k, v] = projections(b).map(|t| merge(b, t));
    let transposed = b.transpose(k, 1, 2);
    let product = b.bmm(q, transposed);
    // The mask is added with the axes apart.
    let mask = b.input("mask", &[B, 1, T, T]);
    let apart = b.view(product, &[B, H, T, T]);
    let masked = b.add(apart, mask);
    let scores = b.view(masked, &[B * H, T, T]);
    let probabilities = b.softmax(scores, -1);
    let context = b.bmm(probabilities, v);
    c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    c.check("bmm");
}

#[test]
fn torch_multi_head_attention() {
    // [token, batch, channel] -> [token, batch * head, channel] -> [batch * head, token, channel], mask by baddbmm.
    let mut c = Case::new();
    let x = tokens(&mut c.b, "input_ids", T);
    let b = &mut c.b;
    let x = b.transpose(x, 0, 1);
    let packed = b.linear(x, 3 * E);
    let parts = b.chunk(packed, 3, -1);
    let [q, k, v] = [0, 1, 2].map(|i| {
        let y = b.view(parts[i], &[T, B * H, D]);
        b.transpose(y, 0, 1)
    });
    let q = b.scale(q, 0.35);
    let mask = b.input("mask", &[B * H, T, T]);
    let transposed = b.transpose(k, -2, -1);
    let arguments = [("self", mask.into()), ("batch1", q.into()), ("batch2", transposed.into())];
    let scores = b.op("aten::baddbmm", &arguments, &[B * H, T, T]);
    let probabilities = b.softmax(scores, -1);
    let context = b.bmm(probabilities, v);
    c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    c.check("torch.nn.MultiheadAttention");
}

#[test]
fn decomposed_matmul() {
    // What matmul of four axes becomes in core ATen: expand, view, bmm, view.
    let mut c = Case::new();
    let b = &mut c.b;
    let [q, k, v] = projections(b);
    let flat = |b: &mut Builder, x: TensorId| {
        let shape = b.shape(x);
        let y = b.expand(x, &shape);
        let y = b.unary("aten::clone", y);
        b.view(y, &[B * H, shape[2], shape[3]])
    };
    let transposed = b.permute(k, &[0, 1, 3, 2]);
    let (left, right) = (flat(b, q), flat(b, transposed));
    let product = b.bmm(left, right);
    let scores = b.view(product, &[B, H, T, T]);
    let arguments = [("self", scores.into()), ("dim", Value::Int(-1)), ("half_to_float", Value::Bool(false))];
    let probabilities = b.op("aten::_softmax", &arguments, &[B, H, T, T]);
    let (left, right) = (flat(b, probabilities), flat(b, v));
    let sum = b.bmm(left, right);
    let context = b.view(sum, &[B, H, T, D]);
    c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    c.check("core ATen");
}

#[test]
fn grouped_without_repeating() {
    // [batch, key_value_head, group, token, channel]
    let mut c = Case::new();
    let x = tokens(&mut c.b, "input_ids", T);
    let b = &mut c.b;
    let (q, k, v) = (project(b, x, H), project(b, x, 2), project(b, x, 2));
    let q = b.view(q, &[B, 2, 2, T, D]);
    let (k, v) = (b.unsqueeze(k, 2), b.unsqueeze(v, 2));
    let scores = scaled_product(b, q, k);
    let probabilities = b.softmax(scores, -1);
    let context = b.matmul(probabilities, v);
    c.eager(&Expect { key_value_heads: 2, ..SELF }, [q, k, v], [scores, probabilities, context]);
    c.check("groups apart");
}

#[test]
fn in_place_masks_and_softmax_out() {
    let mut c = Case::new();
    let b = &mut c.b;
    let [q, k, v] = projections(b);
    let transposed = b.transpose(k, -1, -2);
    let product = b.matmul(q, transposed);
    let mask = b.input("mask", &[B, 1, T, T]);
    let y = b.scalar("aten::div_.Scalar", product, 2.8);
    let y = b.masked_fill("aten::masked_fill_.Scalar", y, mask);
    let scores = b.binary("aten::add_.Tensor", y, mask);
    let buffer = b.constant(&[B, H, T, T]);
    let arguments = [("self", scores.into()), ("dim", Value::Int(-1)), ("out", buffer.into())];
    let probabilities = b.op("aten::softmax.int_out", &arguments, &[B, H, T, T]);
    let y = b.masked_fill("aten::masked_fill.Scalar", probabilities, mask);
    let y = b.unary("aten::nan_to_num_", y);
    let context = b.matmul(y, v);
    c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    c.check("in place");
}

#[test]
fn softmax_in_float32_and_head_mask() {
    let mut c = Case::new();
    let b = &mut c.b;
    let [q, k, v] = projections(b);
    let product = scaled_product(b, q, k);
    let scores = b.cast(product);
    let probabilities = b.softmax(scores, -1);
    let y = b.cast(probabilities);
    let head_mask = b.input("head_mask", &[1, H, 1, 1]);
    let y = b.mul(y, head_mask);
    let context = b.matmul(y, v);
    c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    c.check("float32");
}

#[test]
fn decomposed_relative_positions() {
    // The matrix is split into rows and columns of the picture, biased, and put together again.
    let mut c = Case::new();
    let b = &mut c.b;
    let x = b.input("pixels", &[B, 6, E]);
    let [q, k, v] = [(); 3].map(|()| {
        let y = b.linear(x, E);
        let y = b.view(y, &[B, 6, H, D]);
        b.transpose(y, 1, 2)
    });
    let product = scaled_product(b, q, k);
    let y = b.view(product, &[B * H, 2, 3, 2, 3]);
    let rows = b.input("rows", &[B * H, 2, 3, 2, 1]);
    let y = b.add(y, rows);
    let scores = b.view(y, &[B, H, 6, 6]);
    let probabilities = b.softmax(scores, -1);
    let context = b.matmul(probabilities, v);
    c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    c.check("decomposed relative positions");
}

#[test]
fn transposed_probabilities() {
    // Channels first, as in convolutional models: values [batch, channel, token] times probabilities transposed.
    let mut c = Case::new();
    let b = &mut c.b;
    let picture = b.input("picture", &[B, E, T]);
    let [q, k, v] = [(); 3].map(|()| {
        let weight = b.parameter("weight", &[E, E, 1]);
        b.op("aten::conv1d", &[("input", picture.into()), ("weight", weight.into())], &[B, E, T])
    });
    let rows = b.transpose(q, 1, 2);
    let product = b.bmm(rows, k);
    let scores = b.scale(product, 0.2);
    let probabilities = b.softmax(scores, 2);
    let turned = b.permute(probabilities, &[0, 2, 1]);
    let context = b.bmm(v, turned);
    let one = Expect { heads: 1, key_value_heads: 1, ..SELF };
    c.eager(&one, [rows, k, v], [scores, probabilities, context]);
    c.check("channels first");
}

#[test]
fn heads_of_three_axes_fused() {
    let mut c = Case::new();
    let b = &mut c.b;
    let [q, k, v] = projections(b).map(|t| merge(b, t));
    let made = b.sdpa(q, k, v, false);
    c.fused(&SELF, [q, k, v], made);
    c.check("fused, merged axes");
}

#[test]
fn the_nearest_product_is_the_scores() {
    // A position term that is itself a product of activations is added to the scores.
    let mut c = Case::new();
    let b = &mut c.b;
    let [q, k, v] = projections(b);
    let positions = b.input("distances", &[T]);
    let r = b.embedding(positions, D);
    let r = b.transpose(r, 0, 1);
    let bias = b.matmul(q, r);
    let bias = b.scale(bias, 0.5);
    let transposed = b.transpose(k, -1, -2);
    let product = b.matmul(q, transposed);
    let scores = b.add(bias, product);
    let probabilities = b.softmax(scores, -1);
    let context = b.matmul(probabilities, v);
    c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    c.check("relative position term");
}
