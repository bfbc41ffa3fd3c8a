//! What ablation can be told.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// A kind of site that is ablated layer by layer, or head by head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AblationSite {
    /// What each head gives, before the output projection.
    Head,
    /// What the feed-forward block adds to the stream.
    Ffn,
    /// What attention adds to the stream.
    Attention,
    /// All that a block adds to the stream.
    Block,
}

impl AblationSite {
    /// Its name in plans and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Ffn => "ffn",
            Self::Attention => "attention",
            Self::Block => "block",
        }
    }
}

impl fmt::Display for AblationSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an activation is replaced with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum With {
    /// Zero.
    #[default]
    Zero,
    /// Its mean over all tokens of all texts of the data, special tokens included and padding left out. The data are read twice.
    Mean,
    /// The activation of another text of the batch at the same position.
    Resample,
}

/// Neurons that are ablated one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Neurons {
    /// One, `[layer, neuron]`, as the results of other analyses have them.
    One([usize; 2]),
    /// Those of a layer.
    Layer(LayerNeurons),
}

impl Neurons {
    /// Layers with neurons.
    #[must_use]
    pub fn places(&self) -> Vec<(usize, usize)> {
        match self {
            Self::One([layer, neuron]) => vec![(*layer, *neuron)],
            Self::Layer(of) => of.neurons.iter().map(|neuron| (of.layer, *neuron)).collect(),
        }
    }
}

/// Neurons of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerNeurons {
    /// The layer, from 0.
    pub layer: usize,
    /// Its neurons, from 0.
    pub neurons: Vec<usize>,
}

/// Config of the `ablation` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AblationConfig {
    /// What is ablated, one at a time: `head` by layer and head; `ffn`, `attention` and `block` by layer. May be empty where there are
    /// neurons or groups.
    pub sites: Vec<AblationSite>,
    /// What an activation is replaced with, at all positions: `zero`, `mean` or `resample`.
    pub with: With,
    /// Single neurons that are ablated one at a time, what the second linear map of the feed-forward block takes: `[layer, neuron]`, or
    /// `{"layer": 3, "neurons": [1, 2]}`.
    pub neurons: Vec<Neurons>,
    /// Heads that are ablated together, `[layer, head]`, by the name of the group. An empty group ablates nothing.
    pub groups: BTreeMap<String, Vec<[usize; 2]>>,
    /// Whether the attention probabilities of all later layers are those of the clean run, so that only value paths change.
    pub keep_patterns: bool,
    /// For pairs of texts: what is measured beside the loss where the answer is read: `logit_difference`, `probability`, `kl` or `loss`.
    pub metric: Option<Metric>,
    /// How many other texts each text is resampled from.
    pub draws: usize,
    /// Seed of the choice of other texts.
    pub seed: u64,
}

impl Default for AblationConfig {
    fn default() -> Self {
        Self {
            sites: vec![AblationSite::Head],
            with: With::default(),
            neurons: Vec::new(),
            groups: BTreeMap::new(),
            keep_patterns: false,
            metric: None,
            draws: 1,
            seed: 0,
        }
    }
}
