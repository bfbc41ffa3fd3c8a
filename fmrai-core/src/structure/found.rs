//! What the finders have found.

use serde::{Deserialize, Serialize};

use super::attention::Attention;
use super::embedding::Embedding;
use super::feed_forward::FeedForward;
use super::norm::Norm;
use super::residual::Residual;
use super::unembedding::Unembedding;

/// Everything the finders have found in a graph.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Structure {
    /// Attention blocks, in execution order.
    pub attention: Vec<Attention>,
    /// Attention blocks whose queries and keys are channels, in execution order. Analyses of tokens have no use for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channel_attention: Vec<Attention>,
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
