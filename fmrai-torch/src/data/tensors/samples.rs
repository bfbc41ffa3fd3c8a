//! What analyzers are told of the rows of tensors.

use std::ops::Range;

use fmrai_core::batch::{Sample, Sequence, TOKENS, Vocabulary, is_token_input};
use fmrai_core::tensor::DType;

use crate::ffi::tensor::Tensor;
use crate::model::NamedTensors;

/// An input whose elements make no samples.
pub(super) struct Misfit {
    pub(super) input: String,
    pub(super) what: String,
}

fn misfit(input: &str, what: String) -> Misfit {
    Misfit { input: input.to_owned(), what }
}

/// The samples of these rows. Where an input is called `input_ids`, `[batch, token]`, they have tokens: those where
/// `attention_mask`, if there is one, is not 0. Further inputs of token ids, such as `decoder_input_ids` with
/// `decoder_attention_mask`, are sequences of their own. Tokens are special if the vocabulary puts them around texts.
pub(super) fn of(
    inputs: &NamedTensors,
    whole: &[String],
    rows: &Range<usize>,
    vocabulary: Option<&Vocabulary>,
) -> Result<Vec<Sample>, Misfit> {
    // What is given whole with every batch says nothing of its samples.
    let by_sample = |name: &str| !whole.iter().any(|other| other == name);
    let named = inputs.0.iter().map(|(name, _)| name.as_str());
    let named = named.filter(|name| is_token_input(name) && by_sample(name));
    let all: Result<Vec<Ids>, Misfit> =
        named.filter_map(|name| Ids::of(inputs, name, &by_sample).transpose()).collect();
    let all = all?;
    let mut samples = Vec::with_capacity(rows.len());
    for (row, id) in rows.clone().enumerate() {
        let mut sample = Sample::new(id as u64);
        for ids in &all {
            let Some(sequence) = ids.sequence(row, id, vocabulary)? else { continue };
            if sequence.input == TOKENS {
                sample.offsets = vec![0..0; sequence.token_ids.len()];
                (sample.token_ids, sample.special, sample.span) =
                    (sequence.token_ids, sequence.special, sequence.span);
            } else {
                sample.sequences.push(sequence);
            }
        }
        samples.push(sample);
    }
    Ok(samples)
}

/// An input of token ids and its mask.
struct Ids {
    name: String,
    mask: String,
    ids: Vec<Vec<i64>>,
    masks: Option<Vec<Vec<i64>>>,
}

impl Ids {
    fn of(
        inputs: &NamedTensors,
        name: &str,
        by_sample: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Self>, Misfit> {
        let mask = format!("{}attention_mask", name.strip_suffix(TOKENS).unwrap_or_default());
        let read = |name: &str| inputs.get(name).map(|tensor| matrix(name, tensor)).transpose();
        let Some(ids) = read(name)?.flatten() else { return Ok(None) };
        let masks = if by_sample(&mask) { read(&mask)?.flatten() } else { None };
        Ok(Some(Self { name: name.to_owned(), mask, ids, masks }))
    }

    /// The tokens of a row, which is sample `id`.
    fn sequence(
        &self,
        row: usize,
        id: usize,
        vocabulary: Option<&Vocabulary>,
    ) -> Result<Option<Sequence>, Misfit> {
        let Self { name, mask, .. } = self;
        let Some(ids) = self.ids.get(row) else { return Ok(None) };
        let span = match self.masks.as_ref().and_then(|masks| masks.get(row)) {
            Some(row) if row.len() == ids.len() => span(row).ok_or_else(|| {
                let what = "has gaps or no token, needed are tokens that follow on each other";
                misfit(mask, format!("sample {id}: {mask} {what}"))
            })?,
            _ => 0..ids.len(),
        };
        let (mut token_ids, mut special) = (Vec::new(), Vec::new());
        for value in ids.get(span.clone()).unwrap_or_default() {
            let token = u32::try_from(*value).map_err(|_| {
                let what = "which is no token id: they begin at 0";
                misfit(name, format!("sample {id}: {name} holds {value}, {what}"))
            })?;
            let around = |v: &Vocabulary| [v.first, v.separator, v.padding].contains(&Some(token));
            token_ids.push(token);
            special.push(vocabulary.is_some_and(around));
        }
        Ok(Some(Sequence { input: name.clone(), token_ids, special, span }))
    }
}

/// The rows of a tensor with two axes; `None` for any other.
fn matrix(name: &str, tensor: &Tensor) -> Result<Option<Vec<Vec<i64>>>, Misfit> {
    let &[_, width] = tensor.size().as_slice() else { return Ok(None) };
    let wide = tensor.to_dtype(DType::Int64).and_then(|wide| wide.to_vec());
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
