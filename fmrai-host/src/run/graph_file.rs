//! The graph of a model as the file that a run keeps of it.

use fmrai_core::graph::{Graph, to_json};

/// The graph as a file. Graphs that were recorded can be written.
pub(super) fn graph_json(graph: &dyn Graph) -> String {
    to_json(graph).unwrap_or_default()
}
