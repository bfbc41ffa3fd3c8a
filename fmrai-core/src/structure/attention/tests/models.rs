//! Whole architectures.

use super::*;

/// Rotary position embedding of `[batch, head, token, channel]`.
fn rotary(b: &mut Builder, x: TensorId, cos: TensorId, sin: TensorId) -> TensorId {
    let straight = b.mul(x, cos);
    let (low, high) = (b.slice(x, -1, 0, D / 2), b.slice(x, -1, D / 2, D));
    let high = b.unary("aten::neg", high);
    let turned = b.cat(&[high, low], -1);
    let turned = b.mul(turned, sin);
    b.add(straight, turned)
}

/// Cosines and sines of positions, `[1, 1, token, channel]`.
fn angles(b: &mut Builder) -> [TensorId; 2] {
    let frequencies = b.constant(&[1, D, 1]);
    let positions = b.input("position_ids", &[1, 1, T]);
    let angles = b.matmul(frequencies, positions);
    let angles = b.transpose(angles, 1, 2);
    ["aten::cos", "aten::sin"].map(|name| {
        let wave = b.unary(name, angles);
        b.unsqueeze(wave, 1)
    })
}

/// Key or value heads repeated for groups of query heads.
fn repeat_heads(b: &mut Builder, x: TensorId, heads: i64) -> TensorId {
    let [_, held, length, width] = b.shape(x)[..] else { panic!("four axes") };
    let y = b.unsqueeze(x, 2);
    let y = b.expand(y, &[B, held, heads / held, length, width]);
    b.op("aten::reshape", &[("self", y.into())], &[B, heads, length, width])
}

#[test]
fn bert_with_additive_mask_and_dropout() {
    let mut c = Case::new();
    let mut x = tokens(&mut c.b, "input_ids", T);
    let mask = c.b.input("mask", &[B, 1, 1, T]);
    for _ in 0..3 {
        let b = &mut c.b;
        let [q, k, v] = [(); 3].map(|()| project(b, x, H));
        let product = scaled_product(b, q, k);
        let scores = b.add(product, mask);
        let probabilities = b.softmax(scores, -1);
        let dropped = b.dropout(probabilities);
        let context = b.matmul(dropped, v);
        let y = close(b, x, context);
        x = feed_forward(b, y);
        c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    }
    c.b.linear(x, 100);
    c.check("bert");
}

#[test]
fn bert_fused() {
    let mut c = Case::new();
    let mut x = tokens(&mut c.b, "input_ids", T);
    for _ in 0..3 {
        let [q, k, v] = [(); 3].map(|()| project(&mut c.b, x, H));
        let made = c.b.sdpa(q, k, v, false);
        c.fused(&SELF, [q, k, v], made);
        let y = close(&mut c.b, x, made[0]);
        x = feed_forward(&mut c.b, y);
    }
    c.check("bert, fused");
}

#[test]
fn gpt2_with_fused_projection_and_boolean_mask() {
    let mut c = Case::new();
    let mut x = tokens(&mut c.b, "input_ids", T);
    let causal = c.b.constant(&[1, 1, T, T]);
    let lowest = c.b.constant(&[]);
    for _ in 0..2 {
        let b = &mut c.b;
        let flat = b.view(x, &[B * T, E]);
        let (weight, bias) = (b.parameter("c_attn", &[E, 3 * E]), b.parameter("bias", &[3 * E]));
        let arguments = [("self", bias.into()), ("mat1", flat.into()), ("mat2", weight.into())];
        let y = b.op("aten::addmm", &arguments, &[B * T, 3 * E]);
        let y = b.view(y, &[B, T, 3 * E]);
        let parts = b.chunk(y, 3, 2);
        let [q, k, v] = [0, 1, 2].map(|i| split_heads(b, parts[i], H));
        let product = scaled_product(b, q, k);
        let arguments = [("condition", causal.into()), ("self", product.into()), ("other", lowest.into())];
        let scores = b.op("aten::where.self", &arguments, &[B, H, T, T]);
        let probabilities = b.softmax(scores, 3);
        let cast = b.cast(probabilities);
        let dropped = b.dropout(cast);
        let context = b.matmul(dropped, v);
        let y = close(b, x, context);
        x = feed_forward(b, y);
        c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    }
    c.check("gpt2");
}

#[test]
fn llama_with_grouped_queries_and_rotary_embedding() {
    for grouped in [false, true] {
        let mut c = Case::new();
        let mut x = tokens(&mut c.b, "input_ids", T);
        let [cos, sin] = angles(&mut c.b);
        let mask = c.b.input("mask", &[B, 1, T, T]);
        let what = Expect { key_value_heads: 2, ..SELF };
        for _ in 0..2 {
            let b = &mut c.b;
            let (q, k, v) = (project(b, x, H), project(b, x, 2), project(b, x, 2));
            let (q, k) = (rotary(b, q, cos, sin), rotary(b, k, cos, sin));
            let context = if grouped {
                let made = b.sdpa(q, k, v, true);
                c.fused(&what, [q, k, v], made);
                made[0]
            } else {
                let (k, v) = (repeat_heads(b, k, H), repeat_heads(b, v, H));
                let product = scaled_product(b, q, k);
                let scores = b.add(product, mask);
                let probabilities = b.softmax(scores, -1);
                let context = b.matmul(probabilities, v);
                c.eager(&what, [q, k, v], [scores, probabilities, context]);
                context
            };
            let y = close(&mut c.b, x, context);
            x = feed_forward(&mut c.b, y);
        }
        c.check("llama");
    }
}

#[test]
fn repeat_interleave_and_multi_query() {
    let mut c = Case::new();
    let x = tokens(&mut c.b, "input_ids", T);
    let b = &mut c.b;
    let (q, k, v) = (project(b, x, H), project(b, x, 2), project(b, x, 2));
    let [k, v] = [k, v].map(|t| {
        let arguments = [("self", t.into()), ("repeats", 2.0.into()), ("dim", crate::graph::Value::Int(1))];
        b.op("aten::repeat_interleave.self_int", &arguments, &[B, H, T, D])
    });
    let made = b.sdpa(q, k, v, false);
    c.fused(&Expect { key_value_heads: 2, ..SELF }, [q, k, v], made);
    let b = &mut c.b;
    let (q, k, v) = (project(b, x, H), project(b, x, 1), project(b, x, 1));
    let scores = scaled_product(b, q, k);
    let probabilities = b.softmax(scores, -1);
    let context = b.matmul(probabilities, v);
    c.eager(&Expect { key_value_heads: 1, ..SELF }, [q, k, v], [scores, probabilities, context]);
    c.check("repeat_interleave, then one key head for all");
}

#[test]
fn t5_with_relative_bias_and_cross_attention() {
    let source = 7;
    let mut c = Case::new();
    let mut memory = tokens(&mut c.b, "input_ids", source);
    let bias = |b: &mut Builder, n: i64| {
        let buckets = b.input("buckets", &[n, n]);
        let bias = b.embedding(buckets, H);
        let bias = b.permute(bias, &[2, 0, 1]);
        b.unsqueeze(bias, 0)
    };
    let run = |c: &mut Case, what: &Expect, x: TensorId, from: TensorId, bias: Option<TensorId>| {
        let b = &mut c.b;
        let (q, k, v) = (project(b, x, H), project(b, from, H), project(b, from, H));
        let transposed = b.transpose(k, 3, 2);
        let product = b.matmul(q, transposed);
        let scores = bias.map_or(product, |bias| b.binary("aten::add_.Tensor", product, bias));
        let cast = b.cast(scores);
        let probabilities = b.softmax(cast, -1);
        let back = b.unary("aten::type_as", probabilities);
        let dropped = b.dropout(back);
        let context = b.matmul(dropped, v);
        let y = close(b, x, context);
        c.eager(what, [q, k, v], [cast, probabilities, context]);
        y
    };
    let encoder_bias = bias(&mut c.b, source);
    for _ in 0..2 {
        memory = run(&mut c, &SELF, memory, memory, Some(encoder_bias));
        memory = feed_forward(&mut c.b, memory);
    }
    let mut x = tokens(&mut c.b, "decoder_input_ids", T);
    let decoder_bias = bias(&mut c.b, T);
    for _ in 0..2 {
        x = run(&mut c, &SELF, x, x, Some(decoder_bias));
        x = run(&mut c, &CROSS, x, memory, None);
        x = feed_forward(&mut c.b, x);
    }
    c.check("t5");
}

#[test]
fn gemma_with_soft_cap_and_norms_of_queries_and_keys() {
    let mut c = Case::new();
    let x = tokens(&mut c.b, "input_ids", T);
    let b = &mut c.b;
    let (q, k, v) = (project(b, x, H), project(b, x, H), project(b, x, H));
    let (q, k) = (b.norm(q), b.norm(k));
    let mask = b.input("mask", &[B, 1, T, T]);
    let product = scaled_product(b, q, k);
    let y = b.scalar("aten::div.Tensor", product, 50.0);
    let y = b.unary("aten::tanh", y);
    let y = b.scale(y, 50.0);
    let scores = b.add(y, mask);
    let probabilities = b.softmax(scores, -1);
    let context = b.matmul(probabilities, v);
    c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    c.check("gemma");
}

#[test]
fn attention_sinks() {
    let mut c = Case::new();
    let x = tokens(&mut c.b, "input_ids", T);
    let b = &mut c.b;
    let (q, k, v) = (project(b, x, H), project(b, x, H), project(b, x, H));
    let product = scaled_product(b, q, k);
    let sinks = b.parameter("sinks", &[1, H, 1, 1]);
    let sinks = b.expand(sinks, &[B, H, T, 1]);
    let all = b.cat(&[product, sinks], -1);
    let highest = b.op("aten::amax", &[("self", all.into())], &[B, H, T, 1]);
    let scores = b.binary("aten::sub.Tensor", all, highest);
    let probabilities = b.softmax(scores, -1);
    let kept = b.slice(probabilities, -1, 0, T);
    let context = b.matmul(kept, v);
    c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    c.check("sinks");
}

#[test]
fn low_rank_projections_and_cache() {
    let mut c = Case::new();
    let x = tokens(&mut c.b, "input_ids", 1);
    let b = &mut c.b;
    let low = b.linear(x, 6);
    let low = b.norm(low);
    let q = project(b, low, H);
    let low = b.linear(x, 6);
    let low = b.norm(low);
    let (k, v) = (project(b, low, H), project(b, low, H));
    let [k, v] = [("past_key", k), ("past_value", v)].map(|(name, new)| {
        let past = b.input(name, &[B, H, T, D]);
        b.cat(&[past, new], 2)
    });
    let made = b.sdpa(q, k, v, false);
    c.fused(&SELF, [q, k, v], made);
    c.check("low rank with a cache");
}

#[test]
fn learned_queries_that_are_projected() {
    let mut c = Case::new();
    let x = tokens(&mut c.b, "input_ids", T);
    let b = &mut c.b;
    let latents = b.parameter("latents", &[1, 3, E]);
    let latents = b.expand(latents, &[B, 3, E]);
    let (q, k, v) = (project(b, latents, H), project(b, x, H), project(b, x, H));
    let scores = scaled_product(b, q, k);
    let probabilities = b.softmax(scores, -1);
    let context = b.matmul(probabilities, v);
    c.eager(&CROSS, [q, k, v], [scores, probabilities, context]);
    c.check("perceiver");
}

#[test]
fn rotary_tables_do_not_make_cross_attention_self() {
    // One head, one text: the tables have the shape of queries and keys.
    let mut c = Case::new();
    let b = &mut c.b;
    let [cos, sin] = angles(b);
    let [q, k, v] = ["audio", "text", "text"].map(|name| {
        let x = b.input(name, &[1, 1, T, D]);
        b.linear(x, D)
    });
    let (q, k) = (rotary(b, q, cos, sin), rotary(b, k, cos, sin));
    let made = b.sdpa(q, k, v, false);
    c.fused(&Expect { heads: 1, key_value_heads: 1, ..CROSS }, [q, k, v], made);
    c.check("cross-attention with rotary embedding");
}
