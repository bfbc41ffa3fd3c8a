//! What a graph is made of, found by its operations and data flow.

mod attention;
mod block;
mod coverage;
mod embedding;
mod facts;
mod feed_forward;
mod norm;
mod operator;
mod positions;
mod product;
mod projection;
mod residual;
mod shape;
#[cfg(test)]
mod tests;
mod unembedding;
mod weights;

pub use attention::{Attention, AttentionForm, AttentionKind, Visible, find_attention};
pub use block::Block;
pub use coverage::{Coverage, Role};
pub use embedding::{Embedding, EmbeddingKind};
pub use feed_forward::{ActivationFunction, Experts, FeedForward, FeedForwardKind, NeuronWeights};
pub use norm::{Norm, NormKind};
pub(crate) use operator::is_view;
pub use positions::{Positions, recorded_batch};
pub use residual::{Residual, Writer};
pub use unembedding::Unembedding;

use serde::{Deserialize, Serialize};

use crate::analyzer::Weights;
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

impl Structure {
    /// Reads the masks that are constants of the model: what queries see may be known only then.
    pub fn read_masks(&mut self, graph: &dyn Graph, weights: &dyn Weights) {
        attention::read_masks(graph, &mut self.attention, Some(weights));
    }
}

/// Everything found, and what of the graph it was found in.
fn find(graph: &dyn Graph) -> (Structure, Claims) {
    let mut attention = find_attention(graph);
    let mut positions = positions::Finder::of(graph);
    attention::place(&mut attention, &mut positions);
    attention::read_masks(graph, &mut attention, None);
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
    let placed = |mut block: FeedForward| {
        block.positions = positions.tokens(block.activation);
        block
    };
    let feed_forward = blocks.into_iter().map(|(_, block)| block).map(placed).collect();
    (Structure { attention, feed_forward, norms, embeddings, unembedding, residual }, claims)
}
