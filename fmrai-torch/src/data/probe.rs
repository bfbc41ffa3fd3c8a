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
    Ok(fit.inputs(&[sample(token_ids)], 0)?.0)
}

/// What a model of texts takes for these rows of token ids, all of one length.
///
/// # Errors
/// [`DataError::Unsuitable`] if it takes more than texts give, no such rows, or has no such tokens.
pub fn token_rows(inputs: &[InputSpec], rows: &[Vec<u32>]) -> Result<NamedTensors, DataError> {
    let fit = Fit::of(inputs)?;
    let length = rows.first().map_or(0, Vec::len);
    if length == 0 || rows.iter().any(|row| row.len() != length) {
        return Err(DataError::Unsuitable(
            "rows of token ids have to be of one length, 1 or more".to_owned(),
        ));
    }
    if let Some(what) = fit.refuses(length) {
        return Err(DataError::Unsuitable(what));
    }
    if let Some(valid) = super::ids::valid(inputs, "input_ids")
        && let Some(id) = rows.iter().flatten().find(|id| !valid.contains(&i64::from(**id)))
    {
        let (first, last) = (valid.start(), valid.end());
        return Err(DataError::Unsuitable(format!(
            "token {id} is none of the model, which has {first} to {last}"
        )));
    }
    let samples: Vec<Sample> = rows.iter().cloned().map(sample).collect();
    Ok(fit.inputs(&samples, 0)?.0)
}

/// A sample of nothing but these tokens.
fn sample(token_ids: Vec<u32>) -> Sample {
    Sample {
        special: vec![false; token_ids.len()],
        offsets: vec![0..0; token_ids.len()],
        span: 0..token_ids.len(),
        token_ids,
        ..Sample::new(0)
    }
}
