//! Inputs for a model that is to run once, to be looked at.

use fmrai_core::batch::Sample;

use super::DataError;
use super::fit::Fit;
use crate::model::{InputSpec, NamedTensors};

/// Tokens of the made-up text.
const TOKENS: usize = 8;

/// Token ids for a model of texts that has no tokenizer: one row of the first ids that it knows, as long as it takes them.
///
/// # Errors
/// [`DataError::Unsuitable`] if it takes more than texts give, or does not tell which ids it knows.
pub fn probe(inputs: &[InputSpec]) -> Result<NamedTensors, DataError> {
    let fit = Fit::of(inputs)?;
    let Some(valid) = super::ids::valid(inputs, "input_ids") else {
        return Err(DataError::Unsuitable("the model does not tell which token ids it knows".to_owned()));
    };
    let known = valid.clone().filter_map(|id| u32::try_from(id).ok());
    let tokens = fit.tokens_near(TOKENS);
    let token_ids: Vec<u32> =
        known.take(TOKENS).collect::<Vec<_>>().into_iter().cycle().take(tokens).collect();
    let sample = Sample {
        id: 0,
        text: None,
        special: vec![false; token_ids.len()],
        offsets: vec![0..0; token_ids.len()],
        span: 0..token_ids.len(),
        token_ids,
        sequences: Vec::new(),
        pair: None,
    };
    Ok(fit.inputs(&[sample], 0)?.0)
}
