//! Masks of all spellings.

use super::*;
use crate::analyzer::Weights;
use crate::graph::Value;
use crate::structure::{Structure, Visible};
use crate::tensor::{TensorData, TensorError, TensorValue};

/// A graph with one block, whose scores are changed by `mask`.
fn block(mask: impl Fn(&mut Builder, TensorId) -> TensorId) -> Builder {
    let mut b = Builder::new();
    let x = tokens(&mut b, "input_ids", T);
    let [q, k, v] = [(); 3].map(|()| project(&mut b, x, H));
    let product = scaled_product(&mut b, q, k);
    let scores = mask(&mut b, product);
    let probabilities = b.softmax(scores, -1);
    b.matmul(probabilities, v);
    b
}

fn visible(mask: impl Fn(&mut Builder, TensorId) -> TensorId) -> Visible {
    Structure::of(&block(mask).build()).attention[0].visible
}

fn window(before: u64, after: u64) -> Visible {
    Visible::Window { before: Some(before), after: Some(after) }
}

fn arange(b: &mut Builder) -> TensorId {
    b.op("aten::arange", &[("end", Value::Size(T))], &[T])
}

/// Positions of queries `[n, 1]` minus those of keys `[1, n]`.
fn distance(b: &mut Builder) -> TensorId {
    let (query, key) = (arange(b), arange(b));
    let (query, key) = (b.unsqueeze(query, 1), b.unsqueeze(key, 0));
    b.binary("aten::sub.Tensor", query, key)
}

fn lowest(b: &mut Builder, x: TensorId, seen: TensorId) -> TensorId {
    let hidden = b.unary("aten::logical_not", seen);
    b.masked_fill("aten::masked_fill.Scalar", x, hidden)
}

#[test]
fn without_a_mask_all_is_seen() {
    assert_eq!(visible(|_, x| x), Visible::Full);
    // Padding: the same for all queries.
    let padded = |b: &mut Builder, x| {
        let mask = b.input("attention_mask", &[B, 1, 1, T]);
        let mask = b.scalar("aten::rsub.Scalar", mask, 1.0);
        let mask = b.scale(mask, -10000.0);
        b.add(x, mask)
    };
    assert_eq!(visible(padded), Visible::Full);
    // A learned number for each distance is no mask.
    let relative = |b: &mut Builder, x| {
        let distance = distance(b);
        let bias = b.embedding(distance, H);
        let bias = b.permute(bias, &[2, 0, 1]);
        let bias = b.unsqueeze(bias, 0);
        b.add(x, bias)
    };
    assert_eq!(visible(relative), Visible::Full);
}

#[test]
fn triangles_and_comparisons_of_ranges() {
    let triangle = |b: &mut Builder, x| {
        let ones = b.op("aten::ones", &[("size", Value::Sizes(vec![T, T]))], &[T, T]);
        let seen = b.op("aten::tril", &[("self", ones.into()), ("diagonal", Value::Int(0))], &[T, T]);
        lowest(b, x, seen)
    };
    assert_eq!(visible(triangle), Visible::Causal);
    let filled = |b: &mut Builder, x| {
        let full = b.op(
            "aten::full",
            &[("size", Value::Sizes(vec![T, T])), ("fill_value", Value::Float(f64::NEG_INFINITY))],
            &[T, T],
        );
        let mask = b.op("aten::triu", &[("self", full.into()), ("diagonal", Value::Int(1))], &[T, T]);
        b.add(x, mask)
    };
    assert_eq!(visible(filled), Visible::Causal);
    let ranges = |width: Option<f64>| {
        move |b: &mut Builder, x| {
            let distance = distance(b);
            let mut seen = b.scalar("aten::ge.Scalar", distance, 0.0);
            if let Some(width) = width {
                let near = b.scalar("aten::lt.Scalar", distance, width);
                seen = b.binary("aten::logical_and", seen, near);
            }
            let mask = b.input("attention_mask", &[B, 1, 1, T]);
            let seen = b.binary("aten::__and__.Tensor", seen, mask);
            lowest(b, x, seen)
        }
    };
    assert_eq!(visible(ranges(None)), Visible::Causal);
    assert_eq!(visible(ranges(Some(3.0))), window(2, 0));
    // Wider than the recorded text.
    assert_eq!(visible(ranges(Some(4096.0))), window(4095, 0));
    let around = |b: &mut Builder, x| {
        let distance = distance(b);
        let distance = b.unary("aten::abs", distance);
        let seen = b.scalar("aten::le.Scalar", distance, 64.0);
        lowest(b, x, seen)
    };
    assert_eq!(visible(around), window(64, 64));
}

#[test]
fn what_depends_on_data_or_is_no_band_is_not_known() {
    let given = |b: &mut Builder, x| {
        let mask = b.input("mask", &[B, 1, T, T]);
        b.add(x, mask)
    };
    assert_eq!(visible(given), Visible::Unknown);
    let chunks = |b: &mut Builder, x| {
        let [query, key] = [1, 0].map(|axis| {
            let range = arange(b);
            let range = b.unsqueeze(range, axis);
            b.scalar("aten::floor_divide.Scalar", range, 4.0)
        });
        let seen = b.binary("aten::eq.Tensor", query, key);
        lowest(b, x, seen)
    };
    assert_eq!(visible(chunks), Visible::Unknown);
}

#[test]
fn fused_operations_say_it_themselves() {
    for (causal, masked, expected) in [
        (true, None, Visible::Causal),
        (false, None, Visible::Full),
        (false, Some(0.0), Visible::Causal),
        (false, Some(-2.0), window(2, 0)),
    ] {
        let mut b = Builder::new();
        let x = tokens(&mut b, "input_ids", T);
        let [q, k, v] = [(); 3].map(|()| project(&mut b, x, H));
        let mask = masked.map_or(Value::None, |low| {
            let distance = distance(&mut b);
            let mut seen = b.scalar("aten::ge.Scalar", distance, 0.0);
            if low < 0.0 {
                let near = b.scalar("aten::le.Scalar", distance, -low);
                seen = b.mul(seen, near);
            }
            let zero = b.op("aten::zeros", &[], &[]);
            let arguments =
                [("condition", seen.into()), ("self", zero.into()), ("other", Value::Float(-3e38))];
            let mask = b.op("aten::where.ScalarOther", &arguments, &[T, T]);
            let mask = b.unsqueeze(mask, 0);
            let mask = b.unsqueeze(mask, 0);
            b.expand(mask, &[B, 1, T, T]).into()
        });
        let shape = b.shape(q);
        let arguments = [
            ("query", q.into()),
            ("key", k.into()),
            ("value", v.into()),
            ("attn_mask", mask),
            ("dropout_p", 0.0.into()),
            ("is_causal", Value::Bool(causal)),
            ("scale", Value::None),
            ("enable_gqa", Value::Bool(false)),
        ];
        b.record("aten::scaled_dot_product_attention", &arguments, &[shape, vec![B, H, T, T]]);
        let found = Structure::of(&b.build()).attention;
        assert_eq!(found[0].visible, expected, "{causal} {masked:?}");
    }
}

/// Constants of a model that can be read: their shapes and elements.
#[derive(Default)]
struct Constants(std::collections::BTreeMap<TensorId, (Vec<usize>, Vec<f32>)>);

impl Constants {
    fn with(mut self, id: TensorId, shape: &[usize], data: Vec<f32>) -> Self {
        self.0.insert(id, (shape.to_vec(), data));
        self
    }

    /// A triangle of 16 positions.
    fn triangle(id: TensorId) -> Self {
        let data = (0..256).map(|i| if i % 16 <= i / 16 { 1.0 } else { 0.0 }).collect();
        Self::default().with(id, &[1, 1, 16, 16], data)
    }
}

impl Weights for Constants {
    fn weight(&self, id: TensorId) -> Option<Result<TensorValue, TensorError>> {
        let (shape, data) = self.0.get(&id)?.clone();
        Some(TensorValue::new(shape, TensorData::F32(data)))
    }
}

#[test]
fn buffers_are_read_where_they_can_be() {
    let buffers = std::cell::Cell::new([TensorId(0); 2]);
    let b = block(|b, x| {
        let bias = b.parameter("attn.bias", &[1, 1, 16, 16]);
        let rows = b.slice(bias, 2, 0, T);
        let seen = b.slice(rows, 3, 0, T);
        let low = b.parameter("attn.masked_bias", &[]);
        buffers.set([bias, low]);
        let arguments = [("condition", seen.into()), ("self", x.into()), ("other", low.into())];
        b.op("aten::where.self", &arguments, &[B, H, T, T])
    });
    let graph = b.build();
    let mut structure = Structure::of(&graph);
    assert_eq!(structure.attention[0].visible, Visible::Unknown);
    let [bias, low] = buffers.get();
    structure.read_masks(&graph, &Constants::triangle(bias));
    // What is written in place of hidden scores is not known here: it may be another score.
    assert_eq!(structure.attention[0].visible, Visible::Unknown);
    for (value, expected) in [
        (-1e4, Visible::Causal),
        (f32::MIN, Visible::Causal),
        (f32::NEG_INFINITY, Visible::Causal),
        (0.5, Visible::Full),
        (-100.0, Visible::Unknown),
    ] {
        structure.read_masks(&graph, &Constants::triangle(bias).with(low, &[], vec![value]));
        assert_eq!(structure.attention[0].visible, expected, "{value}");
    }
    let b = block(|b, x| {
        let bias = b.parameter("attn.bias", &[1, 1, 16, 16]);
        buffers.set([bias; 2]);
        let rows = b.slice(bias, 2, 0, T);
        let seen = b.slice(rows, 3, 0, T);
        lowest(b, x, seen)
    });
    let graph = b.build();
    let mut structure = Structure::of(&graph);
    assert_eq!(structure.attention[0].visible, Visible::Unknown);
    structure.read_masks(&graph, &Constants::triangle(buffers.get()[0]));
    assert_eq!(structure.attention[0].visible, Visible::Causal);
}

#[test]
fn a_table_by_distance_is_a_mask_where_its_numbers_are() {
    let table = std::cell::Cell::new(TensorId(0));
    let b = block(|b, x| {
        let distance = distance(b);
        let row = b.scalar("aten::add.Scalar", distance, 10.0);
        let arguments = [("self", row.into()), ("min", Value::Int(0)), ("max", Value::Int(20))];
        let row = b.op("aten::clamp", &arguments, &[T, T]);
        table.set(b.parameter("bias.weight", &[21, H]));
        let arguments = [("weight", table.get().into()), ("indices", row.into())];
        let bias = b.op("aten::embedding", &arguments, &[T, T, H]);
        let bias = b.permute(bias, &[2, 0, 1]);
        let bias = b.unsqueeze(bias, 0);
        b.add(x, bias)
    });
    let graph = b.build();
    let heads = usize::try_from(H).unwrap();
    let mut structure = Structure::of(&graph);
    for (low, expected) in [(-3.0, Visible::Full), (-1e9, Visible::Causal), (-100.0, Visible::Unknown)] {
        // Rows before 10 are those of keys after the query.
        let data = (0..21 * heads).map(|i| if i / heads < 10 { low } else { 0.5 }).collect();
        structure.read_masks(&graph, &Constants::default().with(table.get(), &[21, heads], data));
        assert_eq!(structure.attention[0].visible, expected, "{low}");
    }
}

#[test]
fn what_data_decide_for_some_pairs_is_no_padding() {
    let triangle = |b: &mut Builder| {
        let distance = distance(b);
        b.scalar("aten::ge.Scalar", distance, 0.0)
    };
    // A prefix that all queries see, as far as the input says.
    let prefix = |b: &mut Builder, x| {
        let seen = triangle(b);
        let prefix = b.input("prefix", &[B, 1, 1, T]);
        let seen = b.binary("aten::logical_or", seen, prefix);
        lowest(b, x, seen)
    };
    assert_eq!(visible(prefix), Visible::Unknown);
    // One term for the keys before a query, another one for those after.
    let halves = |b: &mut Builder, x| {
        let seen = triangle(b);
        let [before, after] = ["before", "after"].map(|name| b.input(name, &[B, 1, 1, T]));
        let arguments = [("condition", seen.into()), ("self", before.into()), ("other", after.into())];
        let term = b.op("aten::where.self", &arguments, &[B, 1, T, T]);
        b.add(x, term)
    };
    assert_eq!(visible(halves), Visible::Unknown);
    // Padding of a text that is read from left to right.
    let padded = |b: &mut Builder, x| {
        let seen = triangle(b);
        let padding = b.input("padding", &[B, 1, 1, T]);
        let arguments = [("condition", seen.into()), ("self", padding.into()), ("other", Value::Float(-1e9))];
        let term = b.op("aten::where.ScalarOther", &arguments, &[B, 1, T, T]);
        b.add(x, term)
    };
    assert_eq!(visible(padded), Visible::Causal);
}
