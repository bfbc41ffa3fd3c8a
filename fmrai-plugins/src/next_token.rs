//! The next tokens of texts, which a decoder's loss is about.

use fmrai_core::analyzer::{AnalyzerError, ModelView};
use fmrai_core::batch::Sample;
use fmrai_core::experiment::{Block, Sites};
use fmrai_core::graph::TensorId;

use crate::sites::logits_of;

/// The logits of a model that predicts the next token, `[row, position, token]`.
///
/// # Errors
/// [`AnalyzerError::Unsuitable`] for a model without a map to a vocabulary, and for one whose attention sees later tokens.
pub(crate) fn next_token_logits(model: &ModelView<'_>, sites: &Sites<'_>) -> Result<TensorId, AnalyzerError> {
    let logits = logits_of(model)?;
    let ahead = |block: &&Block<'_>| {
        let reach = block.attention.visible.reach();
        reach.is_some_and(|[_, after]| after != Some(0))
    };
    match sites.blocks.iter().find(ahead) {
        None => Ok(logits),
        Some(block) => Err(AnalyzerError::Unsuitable {
            found: format!("attention to later tokens in layer {}", block.layer),
            needed: "a decoder, since its loss is that of the next token".to_owned(),
        }),
    }
}

/// The position in the padded row and the token that comes next, for each token of a text but the last. Special tokens count.
pub(crate) fn next_tokens(sample: &Sample) -> Vec<(usize, u32)> {
    let next = sample.token_ids.iter().skip(1);
    next.enumerate().map(|(at, token)| (sample.span.start + at, *token)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_n_tokens_has_n_less_one_to_predict() {
        let sample = Sample { token_ids: vec![7, 8, 9], span: 2..5, ..Sample::new(0) };
        assert_eq!(next_tokens(&sample), [(2, 8), (3, 9)]);
        assert_eq!(next_tokens(&Sample { token_ids: vec![7], span: 0..1, ..Sample::new(0) }), []);
        assert_eq!(next_tokens(&Sample::new(0)), []);
    }
}
