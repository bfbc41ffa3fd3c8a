//! What follows from the sums of all sweeps.

use super::config::{CircuitConfig, Method};
use super::graph::Graph;
use super::removal::Removal;
use super::search::Known;
use super::select::{circuit, order, size_of, worth};
use super::sums::Sums;

/// A point of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) fraction: f64,
    /// Edges that were chosen.
    pub(super) edges: usize,
    /// Those that are left without what is not connected.
    pub(super) left: usize,
    /// Mean metric of the circuit.
    pub(super) metric: f64,
    pub(super) faithfulness: f64,
}

/// A circuit with what was measured of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Circuit {
    pub(super) edges: Vec<bool>,
    /// Edges that were chosen; those that are not connected are none of the circuit's.
    pub(super) chosen: usize,
    pub(super) faithfulness: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// The first sweep, which has the metric of both texts.
    pub(super) totals: Sums,
    /// The score of each edge.
    pub(super) scores: Vec<f64>,
    pub(super) curve: Vec<Point>,
    /// The smallest circuit that is faithful enough; of ACDC what is left.
    pub(super) circuit: Option<Circuit>,
    /// Sizes of the circuits that the next sweep measures.
    pub(super) next: Vec<usize>,
    order: Vec<usize>,
}

impl Found {
    /// After these sweeps, of which there is at least one.
    pub(super) fn of(config: &CircuitConfig, graph: &Graph, ended: &[Sums]) -> Self {
        let totals = ended.first().cloned().unwrap_or_default();
        if config.method == Method::Acdc {
            let removal = Removal::after(graph, ended, config.tau, config.metric);
            let metric = removal.metric.unwrap_or(totals.clean / totals.pairs);
            let chosen = removal.circuit.iter().filter(|there| **there).count();
            let circuit = removal.is_done().then(|| Circuit {
                edges: removal.circuit,
                chosen,
                faithfulness: totals.faithfulness(metric),
            });
            return Self {
                scores: removal.rise,
                curve: Vec::new(),
                circuit,
                next: Vec::new(),
                order: Vec::new(),
                totals,
            };
        }
        let scores = totals.means();
        let order = order(graph, &worth(&scores, config.select, config.metric), config.select.greedy);
        let edges = graph.edges.len();
        let sizes: Vec<usize> = config.fractions.iter().map(|fraction| size_of(*fraction, edges)).collect();
        let mut found = Self { totals, scores, curve: Vec::new(), circuit: None, next: sizes.clone(), order };
        let mut known = config.faithfulness.map(|target| Known::new(edges, target));
        for (sweep, sums) in ended.iter().enumerate().skip(1) {
            let means = sums.means();
            if means.len() != found.next.len() {
                break;
            }
            for (size, mean) in found.next.iter().zip(&means) {
                if let Some(known) = known.as_mut().filter(|_| *size > 0 && *size < edges) {
                    known.add(*size, sums.faithfulness(*mean));
                }
            }
            if sweep == 1 {
                let each = config.fractions.iter().zip(&sizes).zip(means);
                found.curve = each
                    .map(|((fraction, edges), metric)| Point {
                        fraction: *fraction,
                        edges: *edges,
                        left: count(&circuit(graph, &found.order, *edges)),
                        metric,
                        faithfulness: sums.faithfulness(metric),
                    })
                    .collect();
            }
            found.next = known.as_ref().map(Known::next).unwrap_or_default();
        }
        let smallest = known.filter(|_| !found.curve.is_empty()).and_then(|known| known.smallest());
        found.circuit = smallest.map(|(chosen, faithfulness)| Circuit {
            edges: circuit(graph, &found.order, chosen),
            chosen,
            faithfulness,
        });
        found
    }

    /// The circuit of this many edges, without what is not connected.
    pub(super) fn circuit(&self, graph: &Graph, size: usize) -> Vec<bool> {
        circuit(graph, &self.order, size)
    }
}

pub(super) fn count(circuit: &[bool]) -> usize {
    circuit.iter().filter(|there| **there).count()
}
