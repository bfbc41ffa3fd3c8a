//! Models that continue a text.

use super::error::ModelError;

/// A model that gives the logits of the next token of a text: a decoder with its language-model head.
pub trait CausalModel {
    /// Longest text that it reads, in tokens; `None` if there is no limit.
    fn max_tokens(&self) -> Option<usize>;

    /// Tokens that end a text.
    fn end_tokens(&self) -> &[u32];

    /// A text without tokens, to be continued.
    fn begin(&self) -> Box<dyn Continuation + '_>;
}

const _: Option<&dyn CausalModel> = None; // stays object-safe

/// A text that a model is continuing, with what it keeps of the tokens that it has read.
pub trait Continuation {
    /// Number of tokens read.
    fn tokens(&self) -> usize;

    /// Reads further tokens and gives the logits `[vocabulary]` of the one after them.
    ///
    /// # Errors
    /// [`ModelError::Inputs`] for no tokens, tokens that the model does not know, or more than it reads;
    /// [`ModelError::Torch`] for what libtorch reports.
    fn next_logits(&mut self, tokens: &[u32]) -> Result<Vec<f32>, ModelError>;
}

const _: Option<&dyn Continuation> = None; // stays object-safe
