//! Texts that a decoder writes: token by token, with what it computed for the tokens before in a cache.

mod config;
mod edited;
mod sampling;

pub use config::{GenerateConfig, GenerateError};
pub use edited::{EditFrom, EditedModel, TextEdit};

use crate::ffi::settings::no_grad;
use crate::model::CausalModel;
use sampling::Sampler;

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

/// Continues `prompt`, the token ids of a text, special tokens included. `on_token` sees each new token.
///
/// # Errors
/// [`GenerateError`] for settings out of range, an empty or too long prompt, and what the model reports.
pub fn generate(
    model: &dyn CausalModel,
    prompt: &[u32],
    config: &GenerateConfig,
    on_token: &mut dyn FnMut(u32),
) -> Result<Generated, GenerateError> {
    let mut sampler = Sampler::new(config)?;
    if prompt.is_empty() {
        return Err(GenerateError::EmptyPrompt);
    }
    let max_tokens = model.max_tokens().unwrap_or(usize::MAX);
    if prompt.len() > max_tokens {
        return Err(GenerateError::LongPrompt { found: prompt.len(), max_tokens });
    }
    let _no_grad = no_grad();
    let mut text = model.begin();
    let mut next = prompt.to_vec();
    let mut tokens = Vec::new();
    loop {
        if tokens.len() >= config.max_new_tokens {
            return Ok(Generated { tokens, stopped: Stopped::MaxNewTokens });
        }
        if text.tokens() + next.len() > max_tokens {
            return Ok(Generated { tokens, stopped: Stopped::ModelLimit });
        }
        let logits = text.next_logits(&next)?;
        let token = sampler.next(&logits).ok_or(GenerateError::NotANumber { tokens: text.tokens() })?;
        if model.end_tokens().contains(&token) {
            return Ok(Generated { tokens, stopped: Stopped::EndToken });
        }
        on_token(token);
        tokens.push(token);
        next = vec![token];
    }
}
