//! A circuit in the DOT language.

use std::fmt::Write as _;

use super::graph::{End, Graph};

/// The nodes and edges of a circuit, layers upwards. Edges are labelled with what they are read as, and red where corrupting them raises the metric,
/// blue where it lowers it. Their width grows with the magnitude of their score.
pub(super) fn dot(graph: &Graph, circuit: &[bool], scores: &[f64]) -> String {
    let alive = graph.alive(circuit);
    let largest = scores.iter().zip(circuit).filter(|(score, there)| **there && score.is_finite());
    let largest = largest.map(|(score, _)| score.abs()).fold(0.0, f64::max);
    let mut text = String::from("digraph circuit {\n  rankdir=BT;\n  node [shape=box];\n");
    // Names are letters, digits and dots; writing to a string does not fail.
    for (node, _) in alive.iter().enumerate().filter(|(_, alive)| **alive) {
        let _ = writeln!(text, "  \"{}\";", graph.name(node));
    }
    for (edge, _) in circuit.iter().enumerate().filter(|(_, there)| **there) {
        let (node, destination) = graph.edges[edge];
        let destination = &graph.destinations[destination];
        let (label, readers): (&str, Vec<String>) = match destination.end {
            End::Logits => ("", vec!["logits".to_owned()]),
            end => {
                let label = match end {
                    End::Query(..) => "q",
                    End::Key(..) => "k",
                    End::Value(..) => "v",
                    End::Ffn(_) | End::Logits => "",
                };
                let alive = destination.nodes.iter().filter(|node| alive[**node]);
                (label, alive.map(|node| graph.name(*node)).collect())
            }
        };
        let score = scores.get(edge).copied().unwrap_or(f64::NAN);
        let colour = if score > 0.0 {
            "firebrick"
        } else if score < 0.0 {
            "steelblue"
        } else {
            "gray"
        };
        let width = if largest > 0.0 && score.is_finite() { 0.5 + 3.5 * score.abs() / largest } else { 1.0 };
        for reader in readers {
            let from = graph.name(node);
            let _ = writeln!(
                text,
                "  \"{from}\" -> \"{reader}\" [label=\"{label}\", color={colour}, penwidth={width:.2}];"
            );
        }
    }
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::super::graph::LayerShape;
    use super::*;

    #[test]
    fn a_circuit_is_written_with_its_nodes_and_edges() {
        let graph = Graph::new(&[LayerShape { heads: 1, keys: 1, values: 1, ffn: true, parallel: false }]);
        let circuit = [false, false, true, false, false, false, true, false];
        let written = dot(&graph, &circuit, &[0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.5, 0.0]);
        let lines = [
            "digraph circuit {",
            "  rankdir=BT;",
            "  node [shape=box];",
            "  \"input\";",
            "  \"a0.h0\";",
            "  \"input\" -> \"a0.h0\" [label=\"v\", color=steelblue, penwidth=4.00];",
            "  \"a0.h0\" -> \"logits\" [label=\"\", color=firebrick, penwidth=2.25];",
            "}\n",
        ];
        assert_eq!(written, lines.join("\n"));
    }
}
