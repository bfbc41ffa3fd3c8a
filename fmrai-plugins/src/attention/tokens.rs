//! Which tokens of a text are separators or punctuation.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::{Sample, Tokens, Vocabulary};

use fmrai_core::sequences::Stream;

/// The kinds of token that a vocabulary tells apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenKinds {
    separator: Option<u32>,
    /// By id, true for `.` and `,`; `None` without a vocabulary.
    punctuation: Option<Vec<bool>>,
}

/// Positions among the valid tokens of one text; `None` where the kind is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextTokens {
    /// For each token whether it is the separator.
    pub separator: Option<Vec<bool>>,
    /// For each token whether it is `.` or `,`.
    pub punctuation: Option<Vec<bool>>,
}

impl TokenKinds {
    /// The kinds of a vocabulary; punctuation is what has the surface `.` or `,`, as in Clark et al.
    #[must_use]
    pub fn of(vocabulary: Option<&Vocabulary>) -> Self {
        let is_punctuation = |v: &Vocabulary, id| matches!(v.surface(id), "." | ",");
        Self {
            separator: vocabulary.and_then(|v| v.separator),
            punctuation: vocabulary
                .map(|v| (0u32..).take(v.tokens.len()).map(|id| is_punctuation(v, id)).collect()),
        }
    }

    /// The kinds of the tokens of one sequence of a sample. Samples without tokens, such as images, have none.
    ///
    /// # Errors
    /// [`AnalyzerError::Other`] if the sample has not as many tokens as valid positions.
    pub fn mark(&self, sample: &Sample, stream: &Stream) -> Result<TextTokens, AnalyzerError> {
        let Some(Tokens { ids, span, .. }) = stream.tokens(sample).filter(|tokens| !tokens.ids.is_empty())
        else {
            return Ok(TextTokens::default());
        };
        if ids.len() != span.len() {
            return Err(AnalyzerError::Other(format!(
                "sample {} has {} tokens at {} positions, needed as many tokens as positions",
                sample.id,
                ids.len(),
                span.len()
            )));
        }
        Ok(TextTokens {
            separator: self.separator.map(|separator| ids.iter().map(|&id| id == separator).collect()),
            punctuation: self
                .punctuation
                .as_ref()
                .map(|known| ids.iter().map(|&id| known.get(id as usize) == Some(&true)).collect()),
        })
    }
}
