//! What a graph is made of, found by its operations and data flow.

mod attention;
mod block;

pub(crate) use attention::is_view;
pub use attention::{Attention, AttentionForm, AttentionKind, find_attention};
pub use block::Block;

use serde::Serialize;

use crate::graph::Graph;

/// Everything the finders have found in a graph.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Structure {
    /// Attention blocks, in execution order.
    pub attention: Vec<Attention>,
}

impl Structure {
    /// Runs all finders on a graph.
    #[must_use]
    pub fn of(graph: &dyn Graph) -> Self {
        Self { attention: find_attention(graph) }
    }
}
