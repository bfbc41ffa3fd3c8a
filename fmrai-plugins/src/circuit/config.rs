//! What the search for circuits can be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// How edges are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Gradients of the clean run, times what the corrupted run has more (Syed et al. 2023).
    #[default]
    Eap,
    /// The same with gradients averaged between the embeddings of both runs (Hanna et al. 2024).
    EapIg,
    /// Edges are taken out one after the other, as long as that changes the metric little (Conmy et al. 2023).
    Acdc,
    /// Each edge is patched by itself: two runs for each edge and text, so for small models.
    Exact,
}

impl Method {
    /// What it is, for headings.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Eap => "edge attribution patching",
            Self::EapIg => "edge attribution patching with integrated gradients",
            Self::Acdc => "ACDC",
            Self::Exact => "patching of single edges",
        }
    }
}

/// How a circuit of some size is made of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Select {
    /// Whether the edges with the largest magnitudes are taken, or those whose corruption lowers the metric most. The metrics `kl` and `loss` rise
    /// when the answer gets worse, so there the latter are those that raise it most.
    pub absolute: bool,
    /// Whether edges are taken from the logits upwards, each one leading to an edge that is there already, or the best of all edges.
    pub greedy: bool,
}

impl Default for Select {
    fn default() -> Self {
        Self { absolute: true, greedy: false }
    }
}

/// Config of the `circuit` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitConfig {
    /// How edges are chosen: `eap`, `eap_ig`, `acdc` or `exact`.
    pub method: Method,
    /// Steps of integrated gradients, for `eap_ig`.
    pub steps: usize,
    /// What is measured where the answer is read: `logit_difference`, `probability`, `kl` or `loss`. The gradient of `kl` vanishes on the clean run, so with
    /// `eap` it says nothing.
    pub metric: Metric,
    /// The faithfulness that the smallest circuit has to reach; `null` to search for none. Not used by `acdc`.
    pub faithfulness: Option<f64>,
    /// Shares of all edges whose circuits are measured, ascending, above 0 and up to 1. Not used by `acdc`.
    pub fractions: Vec<f64>,
    /// How much worse the metric may get by taking out one edge, in its unit, for `acdc`.
    pub tau: f64,
    /// How circuits are made of scores. Not used by `acdc`.
    pub select: Select,
}

impl Default for CircuitConfig {
    fn default() -> Self {
        Self {
            method: Method::default(),
            steps: 5,
            metric: Metric::default(),
            faithfulness: Some(0.85),
            fractions: vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0],
            tau: 0.01,
            select: Select::default(),
        }
    }
}
