//! What a graph is made of, found by its operations and data flow.

mod attention;
mod block;
mod embedding;
mod feed_forward;
mod norm;
mod operator;
mod product;
mod residual;
mod shape;
mod unembedding;
mod weights;

pub use attention::{Attention, AttentionForm, AttentionKind, find_attention};
pub use block::Block;
pub use embedding::{Embedding, EmbeddingKind};
pub use feed_forward::{ActivationFunction, Experts, FeedForward, FeedForwardKind, NeuronWeights};
pub use norm::{Norm, NormKind};
pub(crate) use operator::is_view;
pub use residual::{Residual, Writer};
pub use unembedding::Unembedding;

use serde::{Deserialize, Serialize};

use crate::graph::Graph;

/// Everything the finders have found in a graph.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Structure {
    /// Attention blocks, in execution order.
    pub attention: Vec<Attention>,
    /// Feed-forward blocks, in execution order.
    pub feed_forward: Vec<FeedForward>,
    /// Normalisations, in execution order.
    pub norms: Vec<Norm>,
    /// Embeddings, in execution order.
    pub embeddings: Vec<Embedding>,
    /// Maps to a vocabulary and other heads, in execution order.
    pub unembedding: Vec<Unembedding>,
    /// Additions to the residual streams, in execution order.
    pub residual: Vec<Residual>,
}

impl Structure {
    /// Runs all finders on a graph.
    #[must_use]
    pub fn of(graph: &dyn Graph) -> Self {
        Self { attention: find_attention(graph), ..Self::default() }
    }
}
