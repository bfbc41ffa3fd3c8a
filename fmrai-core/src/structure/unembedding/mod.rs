//! The maps from the last hidden state to the model's results.
//!
//! # What counts as one
//! A linear map of an activation, outside of all blocks that write to a stream, whose result is a result of the model:
//! nothing takes it but views, casts, parts, scaling and soft-caps, softmax. It is to a *vocabulary* if its weight is
//! the table of a token embedding, or has as many results as such a table has rows, or if the model has a token
//! embedding and it makes for every token at least four times as many results as channels. All others are heads.
//!
//! A pooler whose `tanh` is the model's result is neither, and the maps of contrastive models, whose results are
//! compared with each other, are not found.

mod find;

use serde::{Deserialize, Serialize};

use crate::graph::{OperationId, TensorId};

pub(super) use find::find_unembedding;

/// A linear map that ends the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unembedding {
    /// Position among those of its role, from 0, in execution order.
    pub layer: usize,
    /// True if the results are scores of a vocabulary, false for other heads, such as those of classifiers.
    pub vocabulary: bool,
    /// Path of the module it runs in; empty where not known.
    pub module: String,
    /// The linear map.
    pub operation: OperationId,
    /// What it takes, `[batch, token, channel]`.
    pub input: TensorId,
    /// What it gives, `[batch, token, vocabulary]`.
    pub output: TensorId,
    /// Its weight, before any view of it.
    pub weight: TensorId,
    /// The axis of `weight` along which the results lie.
    pub axis: usize,
    /// Number of results: the size of the vocabulary, or of classes.
    pub size: usize,
    /// True if `weight` is also the table of an embedding.
    pub tied: bool,
}

impl Unembedding {
    /// Its role in listings and selectors: `unembedding` for a vocabulary, else `head`.
    #[must_use]
    pub fn role(&self) -> &'static str {
        if self.vocabulary { "unembedding" } else { "head" }
    }
}
