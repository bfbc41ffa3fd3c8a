//! Circuits of a size, made of scores.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::config::Select;
use super::graph::Graph;
use crate::metric::Metric;

/// How good each edge is for a circuit: the higher, the sooner it is taken. A number that is none comes last.
pub(super) fn worth(scores: &[f64], select: Select, metric: Metric) -> Vec<f64> {
    // A score is what corrupting the edge adds to the metric.
    let better = match metric {
        Metric::LogitDifference | Metric::Probability => -1.0,
        Metric::Kl | Metric::Loss => 1.0,
    };
    let of = |score: &f64| {
        let worth = if select.absolute { score.abs() } else { better * score };
        if worth.is_nan() { f64::NEG_INFINITY } else { worth }
    };
    scores.iter().map(of).collect()
}

/// The edges in the order in which they are taken; a circuit of `n` edges has the first `n`.
pub(super) fn order(graph: &Graph, worth: &[f64], greedy: bool) -> Vec<usize> {
    if greedy { upwards(graph, worth) } else { best_first((0..worth.len()).collect(), worth) }
}

fn best_first(mut edges: Vec<usize>, worth: &[f64]) -> Vec<usize> {
    edges.sort_by(|a, b| worth[*b].total_cmp(&worth[*a]).then(a.cmp(b)));
    edges
}

/// An edge that can be taken next; of equally good ones the first.
#[derive(PartialEq)]
struct Candidate(f64, usize);

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// From the logits upwards: the best of those edges whose destination leads to the logits already.
fn upwards(graph: &Graph, worth: &[f64]) -> Vec<usize> {
    let mut order = Vec::with_capacity(worth.len());
    let mut open = BinaryHeap::new();
    let mut reached = vec![false; graph.destinations.len()];
    let mut reach = |destination: usize, open: &mut BinaryHeap<Candidate>| {
        if !std::mem::replace(&mut reached[destination], true) {
            open.extend(graph.edges_into(destination).iter().map(|edge| Candidate(worth[*edge], *edge)));
        }
    };
    for (at, destination) in graph.destinations.iter().enumerate() {
        if destination.nodes.is_empty() {
            reach(at, &mut open);
        }
    }
    while let Some(Candidate(_, edge)) = open.pop() {
        order.push(edge);
        let (node, _) = graph.edges[edge];
        for (at, destination) in graph.destinations.iter().enumerate() {
            if destination.nodes.contains(&node) {
                reach(at, &mut open);
            }
        }
    }
    order
}

/// The circuit of the first `n` edges, without what is not connected.
pub(super) fn circuit(graph: &Graph, order: &[usize], n: usize) -> Vec<bool> {
    let mut circuit = vec![false; graph.edges.len()];
    order.iter().take(n).for_each(|edge| circuit[*edge] = true);
    graph.prune(&mut circuit);
    circuit
}

/// How many edges a share of them is.
pub(super) fn size_of(fraction: f64, edges: usize) -> usize {
    // 0.1 of 110 is 11, whatever binary fractions say.
    ((fraction * edges as f64 * (1.0 + 1e-12)).floor() as usize).min(edges)
}

/// Area under a curve by trapezoids.
pub(super) fn area(x: &[f64], y: impl Fn(usize) -> f64) -> f64 {
    (1..x.len()).map(|at| (x[at] - x[at - 1]) * (y(at) + y(at - 1)) / 2.0).sum()
}

#[cfg(test)]
mod tests {
    use super::super::graph::LayerShape;
    use super::*;

    fn graph() -> Graph {
        Graph::new(&[LayerShape { heads: 1, keys: 1, values: 1, ffn: true, parallel: false }])
    }

    #[test]
    fn the_best_edges_come_first() {
        // input to q, k, v, m0 and logits; a0.h0 to m0 and logits; m0 to logits
        let scores = [0.5, -3.0, 0.0, 1.0, f64::NAN, -2.0, 2.0, 0.1];
        let graph = graph();
        let absolute = worth(&scores, Select::default(), Metric::LogitDifference);
        assert_eq!(order(&graph, &absolute, false), [1, 5, 6, 3, 0, 7, 2, 4]);
        let signed = Select { absolute: false, greedy: false };
        let signed = worth(&scores, signed, Metric::LogitDifference);
        assert_eq!(order(&graph, &signed, false), [1, 5, 2, 7, 0, 3, 6, 4]);
        // Upwards: of the edges into the logits first, then also those into what they come from.
        assert_eq!(order(&graph, &absolute, true), [6, 1, 0, 7, 5, 3, 2, 4]);
        let kept = circuit(&graph, &order(&graph, &absolute, false), 3);
        assert_eq!(kept, [false, true, false, false, false, false, true, false]);
    }

    #[test]
    fn sizes_are_floors_and_a_perfect_curve_has_the_area_of_its_fractions() {
        assert_eq!(size_of(0.1, 110), 11);
        assert_eq!(size_of(0.001, 110), 0);
        assert_eq!(size_of(1.0, 32491), 32491);
        assert_eq!(size_of(0.002, 32491), 64);
        let fractions = super::super::config::CircuitConfig::default().fractions;
        assert!((area(&fractions, |_| 1.0) - 0.999).abs() < 1e-12);
    }
}
