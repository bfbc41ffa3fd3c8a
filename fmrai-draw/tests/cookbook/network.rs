//! Nodes with edges between them.

use fmrai_core::report::figure::{Axis, Figure, Network, NetworkEdge, NetworkNode, Plot};

pub(crate) fn figure() -> Figure {
    let node = |x, y, label: &str| NetworkNode { x, y, label: label.to_owned() };
    let edge =
        |from, to, label: &str, value| NetworkEdge { from, to, enters: 0.0, label: label.to_owned(), value };
    let plot = Network {
        scale: Axis::new("change of the logit difference", None),
        nodes: vec![
            node(0.5, 0.0, "embedding"),
            node(0.0, 1.0, "L0H1"),
            node(1.0, 1.0, "L0H3"),
            node(0.5, 2.0, "logits"),
        ],
        edges: vec![edge(0, 1, "q", 0.4), edge(0, 2, "", -0.2), edge(1, 3, "", 1.1), edge(2, 3, "", -0.5)],
    };
    Figure::single("circuit", "What answers", "Edges that were kept.", Plot::Network(plot))
}
