//! What analyzers are told of the rows of tensors.

use std::ops::Range;

use tch::{Kind, Tensor};

use crate::batch::{Sample, Vocabulary};
use crate::model::NamedTensors;

/// An input whose elements make no samples.
pub(super) struct Misfit {
    pub(super) input: &'static str,
    pub(super) what: String,
}

fn misfit(input: &'static str, what: String) -> Misfit {
    Misfit { input, what }
}

/// The samples of these rows. Where an input is called `input_ids`, `[batch, token]`, they have tokens: those where
/// `attention_mask`, if there is one, is not 0. Tokens are special if the vocabulary puts them around texts.
pub(super) fn of(
    inputs: &NamedTensors,
    rows: &Range<usize>,
    vocabulary: Option<&Vocabulary>,
) -> Result<Vec<Sample>, Misfit> {
    let ids = inputs.get("input_ids").map(|ids| matrix("input_ids", ids)).transpose()?.flatten();
    let mask = inputs.get("attention_mask").map(|mask| matrix("attention_mask", mask)).transpose()?.flatten();
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
                    misfit(
                        "attention_mask",
                        format!(
                            "sample {id}: attention_mask has gaps or no token, needed are tokens that follow on each other"
                        ),
                    )
                })?,
                _ => 0..ids.len(),
            };
            for value in ids.get(sample.span.clone()).unwrap_or_default() {
                let token = u32::try_from(*value).map_err(|_| {
                    misfit(
                        "input_ids",
                        format!(
                            "sample {id}: input_ids holds {value}, which is no token id: they begin at 0"
                        ),
                    )
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
fn matrix(name: &'static str, tensor: &Tensor) -> Result<Option<Vec<Vec<i64>>>, Misfit> {
    let Ok((_, width)) = tensor.size2() else { return Ok(None) };
    let wide = tensor.f_to_kind(Kind::Int64).and_then(|wide| wide.f_reshape([-1])).and_then(Vec::try_from);
    let values: Vec<i64> =
        wide.map_err(|e| misfit(name, format!("{name} cannot be read as whole numbers: {e}")))?;
    let width = usize::try_from(width).unwrap_or(0).max(1);
    Ok(Some(values.chunks(width).map(<[i64]>::to_vec).collect()))
}

/// The positions from the first to the last that is not 0; `None` if there is none, or a 0 among them.
fn span(mask: &[i64]) -> Option<Range<usize>> {
    let start = mask.iter().position(|m| *m != 0)?;
    let end = mask.iter().rposition(|m| *m != 0)? + 1;
    mask.get(start..end)?.iter().all(|m| *m != 0).then_some(start..end)
}
