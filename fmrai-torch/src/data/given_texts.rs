//! Texts that are at hand, as one batch.

use std::path::PathBuf;

use super::DataError;
use super::batches::InputBatch;
use super::encoding::Encoder;
use super::fit::Fit;
use crate::model::InputSpec;
use crate::text::Tokenizer;

/// One batch of these texts, in their order, for a model that takes these inputs. None is cut.
///
/// # Errors
/// [`DataError::Unsuitable`] for no texts, one without tokens or with more than the model takes, or a model that takes more than texts give.
pub fn batch_of_texts(
    tokenizer: &Tokenizer,
    inputs: &[InputSpec],
    max_tokens: Option<usize>,
    texts: &[&str],
) -> Result<InputBatch, DataError> {
    let fit = Fit::of(inputs)?;
    let most = max_tokens.into_iter().chain(fit.max_tokens()).min();
    let (tokenizer, inputs) = (tokenizer.clone(), inputs.to_vec());
    let encoder = Encoder { path: PathBuf::new(), tokenizer, inputs, fit, max_tokens: None };
    if texts.is_empty() {
        return Err(DataError::Unsuitable("there are no texts".to_owned()));
    }
    let mut samples = Vec::with_capacity(texts.len());
    for (id, text) in (0..).zip(texts) {
        let wrong = |what: String| DataError::Unsuitable(format!("text {id}: {what}"));
        let (mut sample, _) = encoder.encode((*text).to_owned(), None).map_err(wrong)?;
        sample.id = id;
        match (sample.token_ids.len(), most) {
            (0, _) => return Err(wrong("it has no tokens".to_owned())),
            (tokens, Some(most)) if tokens > most => {
                return Err(wrong(format!("it has {tokens} tokens, the model takes {most}")));
            }
            _ => samples.push(sample),
        }
    }
    let (inputs, filler) = encoder.fit.inputs(&samples, encoder.padding())?;
    Ok(InputBatch { index: 0, samples, inputs, whole: encoder.fit.whole(), filler })
}
