//! Runs the finders, each on what those before it have found.

use crate::analyzer::Weights;
use crate::graph::Graph;

use super::attention::{self, AttentionKind};
use super::coverage::{self, Claims, Coverage};
use super::facts::Facts;
use super::feed_forward::{self, FeedForward};
use super::found::Structure;
use super::{embedding, norm, positions, projection, residual, unembedding};

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
    let facts = Facts::of(graph);
    let found = attention::find(graph, &facts.weights, facts.lines());
    let (channel_attention, mut attention): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|block| block.kind == AttentionKind::Channels);
    let mut positions = positions::Finder::of(graph);
    attention::place(&mut attention, &mut positions);
    attention::read_masks(graph, &mut attention, None);
    let projections = projection::find_projections(&facts);
    let facts = facts.with_projections(projections);
    let norms = norm::find_norms(graph, &facts.weights);
    let facts = facts.with_norms(&norms);
    let writes = residual::find_residual(&facts);
    let ends: Vec<_> = writes.iter().map(|write| residual::ends(&facts, write)).collect();
    let blocks = feed_forward::find_feed_forward(&facts, &writes, &ends);
    let (embeddings, of_embeddings) = embedding::find_embeddings(&facts, &writes);
    let (unembedding, of_unembedding) = unembedding::find_unembedding(&facts, &writes, &embeddings);
    let residual = residual::with_writers(&writes, &attention, &blocks);
    let all: Vec<_> = attention.iter().chain(&channel_attention).cloned().collect();
    let claims = Claims::of(&facts, &all, &blocks, &writes, &ends, [of_embeddings, of_unembedding]);
    let placed = |mut block: FeedForward| {
        block.positions = positions.tokens(block.activation);
        block
    };
    let feed_forward = blocks.into_iter().map(|(_, block)| block).map(placed).collect();
    (
        Structure { attention, channel_attention, feed_forward, norms, embeddings, unembedding, residual },
        claims,
    )
}
