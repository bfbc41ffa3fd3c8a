//! What activation patching can be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;
use crate::sites::{SiteChoice, SiteKind};

/// Which of the two texts is run, and which one activations are taken from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The corrupted text runs with an activation of the clean one: does it suffice?
    #[default]
    Denoise,
    /// The clean text runs with an activation of the corrupted one: is it needed?
    Noise,
}

/// Where the corrupted run comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Corruption {
    /// From the corrupted texts of the data.
    #[default]
    Data,
    /// From Gaussian noise on the token embeddings of a marked part of the clean texts: causal tracing (Meng et al. 2022).
    Gaussian {
        /// Standard deviation of the noise, as a multiple of that of all elements of the embedding's table.
        #[serde(default = "three")]
        sigma: f64,
        /// How many draws each text is run with.
        #[serde(default = "ten")]
        samples: usize,
        /// Name of the mark in the data whose tokens are made noisy.
        #[serde(default = "subject")]
        mark: String,
        /// Seed of the noise.
        #[serde(default)]
        seed: u64,
    },
}

fn three() -> f64 {
    3.0
}

fn ten() -> usize {
    10
}

fn subject() -> String {
    "subject".to_owned()
}

/// Config of the `activation_patching` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ActivationPatchingConfig {
    /// What is patched: `residual.before`, `residual.between`, `residual.after`, `attention_output`, `ffn_output` by layer and position;
    /// `head`, `query`, `key`, `value`, `probabilities` by layer and head, at all positions. With `.position` a head is patched position by position,
    /// with `.mark` at the marked parts of the data, with `.layer` everything at once.
    pub sites: Vec<SiteChoice>,
    /// What is measured where the answer is read: `logit_difference`, `probability`, `kl` or `loss`.
    pub metric: Metric,
    /// `denoise` runs the corrupted text with activations of the clean one, `noise` the clean text with those of the corrupted one.
    pub direction: Direction,
    /// How many neighbouring layers are patched together: layer `l` stands for the layers from `l - window / 2` on, as far as there are such. Windows make
    /// peaks broader than they are.
    pub window: usize,
    /// Where the corrupted run comes from: the data, or noise.
    pub corruption: Corruption,
}

impl Default for ActivationPatchingConfig {
    fn default() -> Self {
        Self {
            sites: [SiteKind::ResidualBefore, SiteKind::Head].map(SiteChoice::of).to_vec(),
            metric: Metric::default(),
            direction: Direction::default(),
            window: 1,
            corruption: Corruption::default(),
        }
    }
}
