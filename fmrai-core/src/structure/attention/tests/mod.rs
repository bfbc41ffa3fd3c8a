//! Graphs of known architectures, built by hand.

mod einsum;
mod layouts;
mod models;
mod negatives;
mod scale;
mod visible;

use crate::graph::testing::Builder;
use crate::graph::{Graph, TensorId};

use super::{Attention, AttentionAxes, AttentionForm, AttentionKind, Visible, find_attention};

const B: i64 = 2;
const H: i64 = 4;
const D: i64 = 8;
const E: i64 = H * D;
const T: i64 = 5;

/// A graph being built, and the blocks that must be found in it.
#[derive(Default)]
struct Case {
    b: Builder,
    expected: Vec<Attention>,
}

/// What a block is expected to be besides its tensors.
struct Expect {
    kind: AttentionKind,
    heads: usize,
    key_value_heads: usize,
}

const SELF: Expect =
    Expect { kind: AttentionKind::SelfAttention, heads: H as usize, key_value_heads: H as usize };
const CROSS: Expect = Expect { kind: AttentionKind::CrossAttention, ..SELF };

impl Case {
    fn new() -> Self {
        Self { b: Builder::new(), expected: Vec::new() }
    }

    /// Notes the fused block that was recorded last.
    fn fused(
        &mut self,
        what: &Expect,
        [query, key, value]: [TensorId; 3],
        [context, probabilities]: [TensorId; 2],
    ) {
        let operation = self.b.last();
        self.note(what, AttentionForm::Fused, operation, [query, key, value], None, probabilities, context);
    }

    /// Notes an eager block.
    fn eager(&mut self, what: &Expect, qkv: [TensorId; 3], [scores, probabilities, context]: [TensorId; 3]) {
        let operation = self.b.maker(probabilities);
        self.note(what, AttentionForm::Eager, operation, qkv, Some(scores), probabilities, context);
    }

    #[expect(clippy::too_many_arguments, reason = "one per field")]
    fn note(
        &mut self,
        what: &Expect,
        form: AttentionForm,
        operation: crate::graph::OperationId,
        [query, key, value]: [TensorId; 3],
        scores: Option<TensorId>,
        probabilities: TensorId,
        context: TensorId,
    ) {
        let layer = self.expected.iter().filter(|a| a.kind == what.kind).count();
        self.expected.push(Attention {
            layer,
            kind: what.kind,
            form,
            heads: what.heads,
            key_value_heads: what.key_value_heads,
            module: String::new(),
            operation,
            query,
            key,
            value,
            scores,
            probabilities,
            context,
            query_positions: None,
            key_positions: None,
            visible: Visible::Unknown,
            axes: AttentionAxes::default(),
        });
    }

    fn check(self, name: &str) {
        assert!(!self.expected.is_empty(), "{name} expects nothing");
        check(name, self.b, &self.expected);
    }
}

/// The blocks found in a graph are the expected ones, in all fields.
fn check(name: &str, b: Builder, expected: &[Attention]) {
    let graph = b.build();
    let found = find_attention(&graph);
    assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        let found = Attention { axes: AttentionAxes::default(), ..found.clone() };
        assert_eq!(&found, expected, "{name}");
    }
    for block in &found {
        let probabilities = graph.tensor(block.probabilities).unwrap();
        assert_eq!(graph.producer(block.probabilities).unwrap().id, block.operation, "{name}");
        assert_eq!(probabilities.on_request, block.form == AttentionForm::Fused, "{name}");
    }
}

/// Token ids, looked up: `[batch, token, channel]`.
fn tokens(b: &mut Builder, name: &str, length: i64) -> TensorId {
    let ids = b.input(name, &[B, length]);
    let x = b.embedding(ids, E);
    b.norm(x)
}

/// A projection with its heads split off: `[batch, head, token, channel]`.
fn project(b: &mut Builder, x: TensorId, heads: i64) -> TensorId {
    let y = b.linear(x, heads * D);
    split_heads(b, y, heads)
}

fn split_heads(b: &mut Builder, x: TensorId, heads: i64) -> TensorId {
    let length = b.shape(x)[1];
    let y = b.view(x, &[B, length, heads, D]);
    b.transpose(y, 1, 2)
}

/// Heads joined, projected and added to the residual stream.
fn close(b: &mut Builder, residual: TensorId, context: TensorId) -> TensorId {
    let length = b.shape(residual)[1];
    let y = b.transpose(context, 1, 2);
    let y = b.unary("aten::contiguous", y);
    let y = b.view(y, &[B, length, E]);
    let y = b.linear(y, E);
    let y = b.add(residual, y);
    b.norm(y)
}

/// A feed-forward layer on the residual stream.
fn feed_forward(b: &mut Builder, x: TensorId) -> TensorId {
    let y = b.linear(x, 4 * E);
    let y = b.unary("aten::gelu", y);
    let y = b.linear(y, E);
    let y = b.add(x, y);
    b.norm(y)
}

/// `query · keyᵀ / √channel`
fn scaled_product(b: &mut Builder, query: TensorId, key: TensorId) -> TensorId {
    let transposed = b.transpose(key, -1, -2);
    let product = b.matmul(query, transposed);
    b.scalar("aten::div.Tensor", product, 8_f64.sqrt())
}
