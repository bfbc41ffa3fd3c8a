//! One text as the tokens of a sample.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fmrai_core::batch::Sample;

use super::DataError;
use super::fit::Fit;
use super::ids::{unknown_token, valid};
use crate::model::InputSpec;
use crate::text::Tokenizer;

/// Makes samples of texts, as many tokens as the model takes.
pub(super) struct Encoder {
    /// The file that the texts are from, or where several are.
    pub(super) path: PathBuf,
    pub(super) tokenizer: Tokenizer,
    pub(super) inputs: Vec<InputSpec>,
    pub(super) fit: Fit,
    pub(super) max_tokens: Option<usize>,
}

impl Encoder {
    /// The tokens of a text, at most `most`, and the number of those that were cut off. The sample's id is 0 still. A text
    /// may have no tokens.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn encode(&self, text: String, most: Option<usize>) -> Result<(Sample, usize), String> {
        let encoded = self.tokenizer.encode(&text, most).map_err(|e| e.to_string())?;
        let tokens = encoded.token_ids.len();
        let refused = self.fit.refuses(tokens).filter(|_| tokens > 0);
        if let Some(what) = refused.or_else(|| self.unknown(&encoded.token_ids)) {
            return Err(what);
        }
        let sample = Sample {
            text: Some(Arc::from(text)),
            token_ids: encoded.token_ids,
            special: encoded.special,
            offsets: encoded.offsets,
            span: 0..tokens,
            ..Sample::new(0)
        };
        Ok((sample, encoded.truncated))
    }

    /// What is wrong with these tokens for the model; see [`unknown_token`].
    pub(super) fn unknown(&self, tokens: &[u32]) -> Option<String> {
        unknown_token(&self.tokenizer, tokens, &self.inputs)
    }

    /// The token that fills rows up. It is masked, so any does that the model has.
    pub(super) fn padding(&self) -> u32 {
        let valid = valid(&self.inputs, "input_ids");
        let known = |id: &u32| valid.is_none_or(|valid| valid.contains(&i64::from(*id)));
        self.tokenizer.vocabulary().padding.filter(known).unwrap_or(0)
    }

    /// An error of a record that begins on this line of a file.
    pub(super) fn error(&self, file: Option<&Path>, line: u64, what: String) -> DataError {
        DataError::Record { path: file.unwrap_or(&self.path).to_owned(), line, what }
    }
}
