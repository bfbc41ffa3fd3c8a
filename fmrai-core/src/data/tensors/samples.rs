//! What analyzers are told of the rows of tensors.

use std::ops::Range;

use tch::{Kind, Tensor};

use crate::batch::{Sample, Vocabulary};
use crate::data::DataError;
use crate::model::NamedTensors;

/// The samples of these rows. Where an input is called `input_ids`, `[batch, token]`, they have tokens: those where
/// `attention_mask`, if there is one, is not 0. Tokens are special if the vocabulary puts them around texts.
pub(super) fn of(
    inputs: &NamedTensors,
    whole: &[String],
    rows: &Range<usize>,
    vocabulary: Option<&Vocabulary>,
) -> Result<Vec<Sample>, DataError> {
    // What is given whole with every batch says nothing of its samples.
    let by_sample = |name: &str| inputs.get(name).filter(|_| !whole.iter().any(|other| other == name));
    let ids = by_sample("input_ids").map(|ids| matrix("input_ids", ids)).transpose()?.flatten();
    let mask = by_sample("attention_mask").map(|mask| matrix("attention_mask", mask)).transpose()?.flatten();
    let mut samples = Vec::with_capacity(rows.len());
    for (row, id) in rows.clone().enumerate() {
        let mut sample = Sample {
            id: id as u64,
            text: None,
            token_ids: Vec::new(),
            special: Vec::new(),
            offsets: Vec::new(),
            span: 0..0,
        };
        if let Some(ids) = ids.as_ref().and_then(|ids| ids.get(row)) {
            sample.span = match mask.as_ref().and_then(|mask| mask.get(row)) {
                Some(mask) if mask.len() == ids.len() => span(mask).ok_or_else(|| {
                    DataError::Unsuitable(format!(
                        "attention_mask of sample {id} has gaps or no token, needed are tokens that follow on each other"
                    ))
                })?,
                _ => 0..ids.len(),
            };
            for value in ids.get(sample.span.clone()).unwrap_or_default() {
                let token = u32::try_from(*value).map_err(|_| {
                    DataError::Unsuitable(format!(
                        "input_ids of sample {id} holds {value}, which is no token id"
                    ))
                })?;
                let around = |v: &Vocabulary| [v.first, v.separator, v.padding].contains(&Some(token));
                sample.token_ids.push(token);
                sample.special.push(vocabulary.is_some_and(around));
            }
            sample.offsets = vec![0..0; sample.token_ids.len()];
        }
        samples.push(sample);
    }
    Ok(samples)
}

/// The rows of a tensor with two axes; `None` for any other.
fn matrix(name: &str, tensor: &Tensor) -> Result<Option<Vec<Vec<i64>>>, DataError> {
    let Ok((_, width)) = tensor.size2() else { return Ok(None) };
    let wide = tensor.f_to_kind(Kind::Int64)?.f_reshape([-1])?;
    let values: Vec<i64> = Vec::try_from(wide)
        .map_err(|e| DataError::Unsuitable(format!("{name} cannot be read as whole numbers: {e}")))?;
    let width = usize::try_from(width).unwrap_or(0).max(1);
    Ok(Some(values.chunks(width).map(<[i64]>::to_vec).collect()))
}

/// The positions from the first to the last that is not 0; `None` if there is none, or a 0 among them.
fn span(mask: &[i64]) -> Option<Range<usize>> {
    let start = mask.iter().position(|m| *m != 0)?;
    let end = mask.iter().rposition(|m| *m != 0)? + 1;
    mask.get(start..end)?.iter().all(|m| *m != 0).then_some(start..end)
}
