//! What a graph is made of, found by its operations and data flow.

mod attention;
mod block;
mod coverage;
mod embedding;
mod facts;
mod feed_forward;
#[cfg(feature = "torch")]
mod ids;
mod norm;
mod opaque;
mod operator;
mod product;
mod projection;
mod residual;
mod shape;
#[cfg(test)]
mod tests;
mod unembedding;
mod weights;

pub use attention::{Attention, AttentionForm, AttentionKind, find_attention};
pub use block::Block;
pub use coverage::{Coverage, Role};
pub use embedding::{Embedding, EmbeddingKind};
pub use feed_forward::{ActivationFunction, Experts, FeedForward, FeedForwardKind, NeuronWeights};
#[cfg(feature = "torch")]
pub(crate) use ids::valid_ids;
pub use norm::{Norm, NormKind};
pub use opaque::opaque_operations;
pub(crate) use operator::is_view;
pub use residual::{Residual, Writer};
pub use unembedding::Unembedding;

use serde::{Deserialize, Serialize};

use crate::graph::Graph;

use coverage::Claims;
use facts::Facts;

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
    ///
    /// Takes time in proportion to the size of the graph.
    #[must_use]
    pub fn of(graph: &dyn Graph) -> Self {
        find(graph).0
    }

    /// The same, and which of the operations of `graph` it explains.
    #[must_use]
    pub fn with_coverage(graph: &dyn Graph) -> (Self, Coverage) {
        let (structure, claims) = find(graph);
        let coverage = coverage::of(graph, &structure, &claims);
        (structure, coverage)
    }
}

/// Everything found, and what of the graph it was found in.
fn find(graph: &dyn Graph) -> (Structure, Claims) {
    let attention = find_attention(graph);
    let facts = Facts::of(graph);
    let norms = norm::find_norms(graph, &facts.weights);
    let facts = facts.with_norms(&norms);
    let writes = residual::find_residual(&facts);
    let ends: Vec<_> = writes.iter().map(|write| residual::ends(&facts, write)).collect();
    let blocks = feed_forward::find_feed_forward(&facts, &writes, &ends);
    let (embeddings, of_embeddings) = embedding::find_embeddings(&facts, &writes);
    let (unembedding, of_unembedding) = unembedding::find_unembedding(&facts, &writes, &embeddings);
    let residual = residual::with_writers(&writes, &attention, &blocks);
    let claims = Claims::of(&facts, &attention, &blocks, &writes, &ends, [of_embeddings, of_unembedding]);
    let feed_forward = blocks.into_iter().map(|(_, block)| block).collect();
    (Structure { attention, feed_forward, norms, embeddings, unembedding, residual }, claims)
}
