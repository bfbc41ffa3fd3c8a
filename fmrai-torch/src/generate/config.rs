//! How a text is continued, and why it cannot be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ModelError;

/// How to continue a text. The same config gives the same tokens on the same machine, at any number of threads that
/// gives the same logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateConfig {
    /// Most tokens to add.
    pub max_new_tokens: usize,
    /// Logits are divided by it before a token is drawn; 0 (the default) takes the likeliest token.
    pub temperature: f64,
    /// Draw among this many likeliest tokens only.
    pub top_k: Option<usize>,
    /// Draw among the fewest likeliest tokens whose probabilities sum to at least this, above 0 and up to 1: Holtzman
    /// et al. 2020, "The Curious Case of Neural Text Degeneration", ICLR. Applied after `top_k`.
    pub top_p: Option<f64>,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for GenerateConfig {
    fn default() -> Self {
        Self { max_new_tokens: 50, temperature: 0.0, top_k: None, top_p: None, seed: 0 }
    }
}

/// Why nothing could be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// A setting is out of range.
    #[error("`{field}` is {found}, {needed} is needed")]
    Config {
        /// The setting.
        field: &'static str,
        /// Its value.
        found: String,
        /// What would be valid.
        needed: &'static str,
    },
    /// There is nothing to continue.
    #[error("the prompt has no token, at least one is needed")]
    EmptyPrompt,
    /// The prompt leaves no room.
    #[error("the prompt has {found} tokens, the model reads at most {max_tokens}")]
    LongPrompt {
        /// Tokens of the prompt.
        found: usize,
        /// Longest text, in tokens.
        max_tokens: usize,
    },
    /// The model's logits are no numbers.
    #[error("the model gives NaN after {tokens} tokens, so there is no next token; float32 may help")]
    NotANumber {
        /// Tokens it had read.
        tokens: usize,
    },
    /// The model fails.
    #[error(transparent)]
    Model(#[from] ModelError),
}
