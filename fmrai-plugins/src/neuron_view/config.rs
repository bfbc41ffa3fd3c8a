//! Which texts are looked at, and how many neurons are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Config of the `neuron_view` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NeuronViewConfig {
    /// Texts that are kept, those with the smallest numbers. 1 to 1000, default 4.
    pub texts: usize,
    /// Tokens of each text that are looked at, from its first one on. 1 to 4096, default 128.
    pub max_tokens: usize,
    /// Neurons of each layer that are kept for a text. 1 to 100, default 10.
    pub top: usize,
    /// Tokens that are listed of what a neuron promotes. 1 to 100, default 5.
    pub top_tokens: usize,
    /// Read values with the token embedding where the model has no map to a vocabulary. Default false.
    pub tied_embedding: bool,
}

impl Default for NeuronViewConfig {
    fn default() -> Self {
        Self { texts: 4, max_tokens: 128, top: 10, top_tokens: 5, tied_embedding: false }
    }
}
