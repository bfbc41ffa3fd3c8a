//! Attention blocks.
//!
//! # What counts as attention
//! Only operations and data flow decide, never names of modules or parameters.
//!
//! *Fused*: every scaled dot product attention operation, whatever its operands are.
//!
//! *Eager*: a softmax, in one operation or written out (`exp` and division by the sum, `log_softmax` and `exp`)
//! - over an axis that is, through masks, scaling, soft-caps, position biases, casts, joins, views and writes into parts, the
//!   columns or rows of a product of two activations (queries and keys); and
//! - whose output becomes, through dropout, casts, masks and parts, a factor of a product that sums over that
//!   axis with a third activation (values).
//!
//! Probabilities that are a sum or difference of several softmaxes make one block, without scores.
//!
//! Heads are what the other axes have of the channels of a linear map. Where rows and columns are channels themselves, it is attention
//! over channels.
//!
//! An *activation* is everything but a plain weight, which is a parameter or constant that went through views, casts
//! and element-wise arithmetic with other weights only. So these are not attention: a classifier, the router of a
//! mixture of experts (sparse or dense), and pooling with a bare learned vector, `softmax(x·w)·x`, which has the
//! data flow of a router. Learned queries that go through a projection first are attention.
//!
//! # What is not found
//! Scores by multiplication and sum instead of a matrix product;
//! additive (Bahdanau) scores; linear attention without a softmax over keys; heads mixed between product and
//! softmax (talking heads); and operations that run a whole encoder layer at once.

mod axes;
mod band;
mod entry;
mod find;
mod heads;
mod kind;
mod layout;
mod mask;
#[cfg(test)]
mod tests;
mod visible;

pub use axes::AttentionAxes;
pub use find::find_attention;
pub(super) use find::{find, place, read_masks};
pub use visible::Visible;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::graph::{OperationId, TensorId};

use super::Positions;

/// Whether a block looks at its own sequence or at another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// Queries and keys come from the same sequence.
    SelfAttention,
    /// Keys and values come from another sequence than the queries.
    CrossAttention,
    /// Channels look at channels: the probabilities are `[.., channel, channel]`, and no position looks at another one.
    Channels,
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
///
/// Shapes are those of the usual layout. Models that merge the first two axes have `[batch · head, ...]` instead
/// (`batch` outermost), models with one head may have no head axis, and models that keep groups of heads apart have
/// `[batch, key_value_head, group, ...]`; `heads` is right in all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Keys, `[batch, head, key, channel]`, or with the last two axes swapped where the model has them only so.
    /// Shared keys of grouped-query attention are already repeated, unless the operation does that itself.
    pub key: TensorId,
    /// Values, `[batch, head, key, channel]`.
    pub value: TensorId,
    /// What the softmax is taken of, `[batch, head, query, key]`; absent where the operation is fused.
    pub scores: Option<TensorId>,
    /// Attention probabilities, `[batch, head, query, key]`: each row sums to 1. Where the model appends attention
    /// sinks to its scores, the key axis has them too.
    pub probabilities: TensorId,
    /// Probabilities times values, `[batch, head, query, channel]`, before the heads are joined.
    pub context: TensorId,
    /// What the positions along the query axis of the probabilities are; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_positions: Option<Positions>,
    /// What those along the key axis are. Keys beyond those of the queries' positions are attention sinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_positions: Option<Positions>,
    /// Which keys a query of self-attention can see.
    #[serde(default)]
    pub visible: Visible,
    /// Names of the axes of these tensors.
    #[serde(default, skip_serializing_if = "AttentionAxes::is_empty")]
    pub axes: AttentionAxes,
}

impl Attention {
    /// Its role in listings and selectors.
    #[must_use]
    pub fn role(&self) -> &'static str {
        match self.kind {
            AttentionKind::SelfAttention => "attention",
            AttentionKind::CrossAttention => "cross_attention",
            AttentionKind::Channels => "channel_attention",
        }
    }

    /// True if queries and keys are the last two axes of the probabilities, as almost everywhere. Other layouts are told, and
    /// their axes named, but analyses leave them out.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        let names = &self.axes.probabilities;
        names.is_empty() || names.ends_with(&["query".to_owned(), "key".to_owned()])
    }
}
