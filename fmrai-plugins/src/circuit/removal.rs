//! ACDC: edges taken out one after the other.

use super::graph::Graph;
use super::sums::Sums;
use crate::metric::Metric;

/// Most circuits that are measured in one sweep.
const MOST: usize = 32;

/// How far the removal of edges has come.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Removal {
    /// The edges that are left.
    pub(super) circuit: Vec<bool>,
    /// How much worse the metric got when each edge was tried; NaN where it was taken out because its destination led nowhere any more, or has not
    /// been tried.
    pub(super) rise: Vec<f64>,
    /// The metric with what is left; `None` while that is everything.
    pub(super) metric: Option<f64>,
    /// The edges in the order in which they are tried.
    order: Vec<usize>,
    /// How many have been decided.
    decided: usize,
    /// Circuits to be measured in the next sweep.
    chain: usize,
}

/// Circuits to be measured: each one tries an edge more, as if all before it were taken out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trial {
    /// How many edges of the order have been decided before it.
    before: usize,
    pub(super) circuit: Vec<bool>,
}

impl Removal {
    pub(super) fn new(graph: &Graph) -> Self {
        let into = |destination: usize| graph.edges_into(destination).iter().rev().copied();
        Self {
            circuit: vec![true; graph.edges.len()],
            rise: vec![f64::NAN; graph.edges.len()],
            metric: None,
            order: (0..graph.destinations.len()).rev().flat_map(into).collect(),
            decided: 0,
            chain: 1,
        }
    }

    /// After these sweeps.
    pub(super) fn after(graph: &Graph, ended: &[Sums], tau: f64, metric: Metric) -> Self {
        let mut removal = Self::new(graph);
        for sums in ended {
            if sums.pairs > 0.0 && !removal.is_done() {
                removal.decide(graph, sums, tau, metric);
            }
        }
        removal
    }

    pub(super) fn is_done(&self) -> bool {
        self.decided >= self.order.len()
    }

    /// What the next sweep measures.
    pub(super) fn trials(&self, graph: &Graph) -> Vec<Trial> {
        let mut trials = Vec::new();
        let mut circuit = self.circuit.clone();
        // How many edges come out of each node.
        let mut out = vec![0_usize; graph.nodes.len()];
        let there = graph.edges.iter().zip(&circuit).filter(|(_, there)| **there);
        there.for_each(|((node, _), _)| out[*node] += 1);
        for before in self.decided..self.order.len() {
            let edge = self.order[before];
            let (node, destination) = graph.edges[edge];
            let readers = &graph.destinations[destination].nodes;
            let leads = readers.is_empty() || readers.iter().any(|node| out[*node] > 0);
            if std::mem::replace(&mut circuit[edge], false) {
                out[node] -= 1;
            }
            if leads {
                trials.push(Trial { before, circuit: circuit.clone() });
                if trials.len() == self.chain {
                    break;
                }
            }
        }
        trials
    }

    /// Takes edges out by what was measured of the trials, up to the first one that is kept.
    fn decide(&mut self, graph: &Graph, sums: &Sums, tau: f64, metric: Metric) {
        let trials = self.trials(graph);
        let chain = trials.len();
        let worse = match metric {
            Metric::LogitDifference | Metric::Probability => -1.0,
            Metric::Kl | Metric::Loss => 1.0,
        };
        let mut taken = 0;
        for (trial, mean) in trials.into_iter().zip(sums.means()) {
            let edge = self.order[trial.before];
            let now = self.metric.unwrap_or(sums.clean / sums.pairs);
            let rise = worse * (mean - now);
            self.rise[edge] = rise;
            self.circuit = trial.circuit;
            self.decided = trial.before + 1;
            if rise < tau {
                self.metric = Some(mean);
                taken += 1;
            } else {
                self.circuit[edge] = true;
                break;
            }
        }
        // What remains to be decided leads nowhere.
        if self.trials(graph).is_empty() {
            self.decided = self.order.len();
            graph.prune(&mut self.circuit);
        }
        self.chain = if taken == chain { (2 * chain).clamp(1, MOST) } else { taken.max(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::LayerShape;
    use super::*;

    /// Removes by a metric that is a sum over the edges that are left, and gives the number of sweeps.
    fn removed(graph: &Graph, worth: &[f64], tau: f64) -> (Removal, usize) {
        let mut ended: Vec<Sums> = Vec::new();
        loop {
            let removal = Removal::after(graph, &ended, tau, Metric::LogitDifference);
            if removal.is_done() {
                return (removal, ended.len());
            }
            let value = |circuit: &[bool]| {
                let mut circuit = circuit.to_vec();
                graph.prune(&mut circuit);
                2.0 * circuit.iter().zip(worth).filter(|(there, _)| **there).map(|(_, w)| w).sum::<f64>()
            };
            let values = removal.trials(graph).iter().map(|trial| value(&trial.circuit)).collect();
            let whole = value(&vec![true; worth.len()]);
            ended.push(Sums { pairs: 2.0, clean: whole, corrupted: 0.0, values });
        }
    }

    #[test]
    fn what_is_worth_little_is_taken_out_and_the_rest_stays() {
        let shape = LayerShape { heads: 1, keys: 1, values: 1, ffn: true, parallel: false };
        let graph = Graph::new(&[shape; 2]);
        let edge = |name: &str| (0..graph.edges.len()).find(|edge| graph.edge_name(*edge) == name).unwrap();
        let mut worth = vec![0.0; graph.edges.len()];
        let kept = ["input->a0.h0<v>", "a0.h0->m1", "m1->logits"];
        kept.iter().for_each(|name| worth[edge(name)] = 1.0);
        let (removal, _) = removed(&graph, &worth, 0.1);
        let left: Vec<String> = (0..worth.len())
            .filter(|edge| removal.circuit[*edge])
            .map(|edge| graph.edge_name(edge))
            .collect();
        assert_eq!(left, kept);
        assert_eq!(removal.metric, Some(3.0));
        assert!(removal.rise[edge("m1->logits")] >= 1.0);
        assert!(removal.rise[edge("a0.h0->a1.h0<q>")].is_nan());

        let (removal, sweeps) = removed(&graph, &worth, 1e300);
        assert!(removal.circuit.iter().all(|there| !there), "all are taken out");
        assert!(sweeps <= graph.edges.len());
        let (removal, _) = removed(&graph, &vec![1.0; graph.edges.len()], 0.0);
        assert!(removal.circuit.iter().all(|there| *there), "all are kept");
    }
}
