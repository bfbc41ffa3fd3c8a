//! Attention blocks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::graph::{Graph, OperationId, TensorId};

/// Whether a block looks at its own sequence or at another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// Queries and keys come from the same sequence.
    SelfAttention,
    /// Keys and values come from another sequence than the queries.
    CrossAttention,
}

/// How the model computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttentionForm {
    /// Matrix product, softmax, matrix product.
    Eager,
    /// One fused operation; its probabilities exist on request only.
    Fused,
}

/// One attention block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// Position among the blocks of its kind, from 0, in execution order.
    pub layer: usize,
    /// Whether it looks at its own sequence.
    pub kind: AttentionKind,
    /// How it is computed.
    pub form: AttentionForm,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; fewer than `heads` in grouped-query attention.
    pub key_value_heads: usize,
    /// Path of the module it runs in; empty where not known.
    pub module: String,
    /// The softmax, or the fused operation.
    pub operation: OperationId,
    /// Queries, `[batch, head, query, channel]`.
    pub query: TensorId,
    /// Keys, `[batch, head, key, channel]`, or with the last two axes swapped where the model multiplies so.
    pub key: TensorId,
    /// Values, `[batch, head, key, channel]`.
    pub value: TensorId,
    /// What the softmax is taken of, `[batch, head, query, key]`; absent where the operation is fused.
    pub scores: Option<TensorId>,
    /// Attention probabilities, `[batch, head, query, key]`: each row sums to 1.
    pub probabilities: TensorId,
    /// Probabilities times values, `[batch, head, query, channel]`.
    pub context: TensorId,
}

/// Finds the attention blocks of a graph.
#[must_use]
pub fn find_attention(_graph: &dyn Graph) -> Vec<Attention> {
    Vec::new()
}
