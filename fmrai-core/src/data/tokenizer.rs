//! Tokenizers of checkpoints.

use crate::batch::Vocabulary;

/// A checkpoint's own tokenizer, read from its `tokenizer.json`.
#[derive(Debug)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
}

impl Tokenizer {
    /// Its tokens.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }
}
