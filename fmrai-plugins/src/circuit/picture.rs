//! A picture of a circuit.

use std::collections::BTreeMap;

use fmrai_core::report::figure::{Axis, Figure, Network, NetworkEdge, NetworkNode, Plot};

use super::config::{CircuitConfig, Method};
use super::found::{Circuit, Found, count};
use super::graph::{End, Graph, Node};
use super::wiring::Wiring;

/// Where a node is: its row from the bottom, and its place in the row.
fn place(graph: &Graph, node: usize) -> (usize, usize) {
    let is_head = |node: &Node| matches!(node, Node::Head(..));
    match graph.nodes[node] {
        Node::Input => (0, 0),
        Node::Head(layer, head) => (2 * layer + 1, head),
        // Beside the heads where it does not read them, above them otherwise.
        Node::Ffn(layer) => {
            let parallel = graph.destinations.iter().any(|d| d.end == End::Ffn(layer) && d.sources < node);
            let heads =
                graph.nodes.iter().filter(|n| is_head(n) && matches!(n, Node::Head(l, _) if *l == layer));
            if parallel { (2 * layer + 1, heads.count()) } else { (2 * layer + 2, 0) }
        }
    }
}

/// The circuit with layers upwards. Rows without a node of it are left out, and the nodes of a row stand in its middle.
pub(super) fn picture(config: &CircuitConfig, wiring: &Wiring, found: &Found, circuit: &Circuit) -> Figure {
    let graph = &wiring.graph;
    let alive = graph.alive(&circuit.edges);
    let mut rows: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for node in (0..alive.len()).filter(|node| alive[*node]) {
        let (row, at) = place(graph, node);
        rows.entry(row).or_default().push((at, node));
    }
    let widest = rows.values().map(Vec::len).max().unwrap_or(1);
    let middle = (widest - 1) as f64 / 2.0;
    let mut nodes = Vec::new();
    let mut places = vec![0; graph.nodes.len()];
    for (y, row) in rows.values_mut().enumerate() {
        row.sort_unstable();
        let first = middle - (row.len() - 1) as f64 / 2.0;
        for (x, (_, node)) in row.iter().enumerate() {
            places[*node] = nodes.len();
            nodes.push(NetworkNode { x: first + x as f64, y: y as f64, label: graph.name(*node) });
        }
    }
    let logits = nodes.len();
    nodes.push(NetworkNode { x: middle, y: rows.len() as f64, label: "logits".to_owned() });
    let mut edges = Vec::new();
    for (edge, (node, destination)) in graph.edges.iter().enumerate() {
        if !circuit.edges[edge] {
            continue;
        }
        let destination = &graph.destinations[*destination];
        let (label, enters) = match destination.end {
            End::Query(..) => ("q", -1.0),
            End::Key(..) => ("k", 0.0),
            End::Value(..) => ("v", 1.0),
            End::Ffn(_) | End::Logits => ("", 0.0),
        };
        let alive = destination.nodes.iter().filter(|node| alive[**node]).map(|node| places[*node]);
        let readers: Vec<usize> = if destination.nodes.is_empty() { vec![logits] } else { alive.collect() };
        let (from, value) = (places[*node], found.scores[edge]);
        edges.extend(readers.into_iter().map(|to| NetworkEdge {
            from,
            to,
            enters,
            label: label.to_owned(),
            value,
        }));
    }
    let what = match config.method {
        Method::Acdc => "by how much its removal worsened the",
        _ => "what its corruption adds to the",
    };
    let unit = config.metric.unit();
    let scale = Axis::new(&format!("change of the {}", config.metric.title()), unit);
    let faithful = match circuit.faithfulness.is_finite() {
        true => format!(", which reach a faithfulness of {:.2}", circuit.faithfulness),
        false => String::new(),
    };
    let caption = format!(
        "{} of {} edges, found by {}{faithful}. Layers go upwards: heads a, feed-forward blocks m. An edge goes into the queries (q), keys (k) or \
         values (v) of a head. Its width and colour show {what} {}.",
        count(&circuit.edges),
        graph.edges.len(),
        config.method.title(),
        config.metric.title()
    );
    Figure::single("circuit", "Circuit", &caption, Plot::Network(Network { scale, nodes, edges }))
}
