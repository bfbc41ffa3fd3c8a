//! Texts that a decoder writes: token by token, with what it computed for the tokens before in a cache.

mod sampling;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::{Cache, CausalLm, Model, ModelError};
use sampling::Sampler;

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

/// What was generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The tokens added to the prompt, the end token left out.
    pub tokens: Vec<u32>,
    /// Why there are not more.
    pub stopped: Stopped,
}

/// Why generation stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The model ended the text.
    EndToken,
    /// There are [`GenerateConfig::max_new_tokens`] of them.
    MaxNewTokens,
    /// The text is as long as the model can read.
    ModelLimit,
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

impl From<tch::TchError> for GenerateError {
    fn from(error: tch::TchError) -> Self {
        Self::Model(error.into())
    }
}

/// Continues `prompt`, the token ids of a text, special tokens included. `on_token` sees each new token.
///
/// # Errors
/// [`GenerateError`] for settings out of range, an empty or too long prompt, and what the model reports.
pub fn generate(
    model: &CausalLm,
    prompt: &[u32],
    config: &GenerateConfig,
    on_token: &mut dyn FnMut(u32),
) -> Result<Generated, GenerateError> {
    let mut sampler = Sampler::new(config)?;
    if prompt.is_empty() {
        return Err(GenerateError::EmptyPrompt);
    }
    let max_tokens = model.info().max_tokens.unwrap_or(usize::MAX);
    if prompt.len() > max_tokens {
        return Err(GenerateError::LongPrompt { found: prompt.len(), max_tokens });
    }
    let _no_grad = tch::no_grad_guard();
    let mut cache = Cache::new();
    let mut next: Vec<i64> = prompt.iter().copied().map(i64::from).collect();
    let mut tokens = Vec::new();
    loop {
        if tokens.len() >= config.max_new_tokens {
            return Ok(Generated { tokens, stopped: Stopped::MaxNewTokens });
        }
        if cache.tokens() + next.len() > max_tokens {
            return Ok(Generated { tokens, stopped: Stopped::ModelLimit });
        }
        let ids = Tensor::f_from_slice(&next)?.f_unsqueeze(0)?;
        let logits = model.next_logits(&ids, &mut cache)?.f_select(0, 0)?;
        let logits = Vec::<f32>::try_from(logits.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?)?;
        let token = sampler.next(&logits).ok_or(GenerateError::NotANumber { tokens: cache.tokens() })?;
        if model.end_tokens().contains(&token) {
            return Ok(Generated { tokens, stopped: Stopped::EndToken });
        }
        on_token(token);
        tokens.push(token);
        next = vec![i64::from(token)];
    }
}
