//! Blocks of every kind, seen alike.

use super::{AttentionKind, Structure};
use crate::graph::TensorId;

/// A block that a finder has found: its role, its layer and its named tensors. What selectors and listings go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<'a> {
    /// What it is: `attention`, `cross_attention`, ...
    pub role: &'static str,
    /// Position among the blocks of the same role, from 0, in execution order.
    pub layer: usize,
    /// Path of the module it runs in; empty where not known.
    pub module: &'a str,
    /// Its tensors by the names of the finder's fields, e.g. `query`, `probabilities`; absent ones left out.
    pub parts: Vec<(&'static str, TensorId)>,
}

impl Structure {
    /// All blocks, by role in a fixed order, then by layer.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        for kind in [AttentionKind::SelfAttention, AttentionKind::CrossAttention] {
            let role = match kind {
                AttentionKind::SelfAttention => "attention",
                AttentionKind::CrossAttention => "cross_attention",
            };
            for block in self.attention.iter().filter(|block| block.kind == kind) {
                let mut parts = vec![("query", block.query), ("key", block.key), ("value", block.value)];
                parts.extend(block.scores.map(|scores| ("scores", scores)));
                parts.extend([("probabilities", block.probabilities), ("context", block.context)]);
                blocks.push(Block { role, layer: block.layer, module: &block.module, parts });
            }
        }
        blocks
    }
}
