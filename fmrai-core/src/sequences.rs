//! Which tokens the positions of a tensor are: a model may read several sequences, an encoder's and a decoder's.

use std::ops::Range;

use crate::analyzer::ModelView;
use crate::batch::{Sample, TOKENS, Tokens, is_token_input};
use crate::graph::{Graph, Origin, TensorId};
use crate::structure::Positions;

/// The sequence whose positions an axis has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The input whose tokens they are; `None` where all positions count, as those of an image.
    pub input: Option<String>,
    /// Tells sequences without tokens apart; absent where nothing is known of the graph.
    pub sequence: Option<usize>,
    /// Positions that the model puts before the tokens.
    pub before: usize,
    /// Positions that it puts after them.
    pub after: usize,
}

impl Default for Stream {
    /// The tokens of `input_ids`, as they stand.
    fn default() -> Self {
        Self { input: Some(TOKENS.to_owned()), sequence: None, before: 0, after: 0 }
    }
}

impl Stream {
    /// The sequence of an axis whose positions are known, or not; `length` of them in the recorded batch.
    ///
    /// # Errors
    /// Why its positions are those of no input.
    pub fn of(graph: &dyn Graph, positions: Option<&Positions>, length: Option<i64>) -> Result<Self, String> {
        let inputs: Vec<(&str, i64)> = graph
            .tensors()
            .iter()
            .filter(|t| t.origin == Origin::Input)
            .filter_map(|t| match t.shape.as_slice() {
                &[_, length] => Some((t.name.as_deref()?, length)),
                _ => None,
            })
            .filter(|(name, _)| is_token_input(name))
            .collect();
        let lost = || {
            let of = length.map_or_else(String::new, |length| format!("{length} "));
            format!(
                "its {of}positions are those of no input: windows, pooled or strided sequences, or parts of one"
            )
        };
        // Without a way through the graph, the number of positions tells, if only one input has as many.
        let by_length = |among: &dyn Fn(&str) -> bool, sequence| {
            let mut same = inputs.iter().filter(|(name, n)| among(name) && Some(*n) == length);
            match (same.next(), same.next()) {
                (Some((name, _)), None) => {
                    Ok(Self { input: Some((*name).to_owned()), sequence, before: 0, after: 0 })
                }
                _ => Err(lost()),
            }
        };
        let Some(positions) = positions else {
            return if inputs.is_empty() { Ok(Self::default()) } else { by_length(&|_| true, None) };
        };
        let sequence = Some(positions.sequence);
        let (before, after) = (usize::try_from(positions.before), usize::try_from(positions.after));
        let own = |name: &String| inputs.iter().any(|(input, _)| input == name);
        if let Some(input) = positions.inputs.iter().find(|name| own(name)) {
            let (Ok(before), Ok(after)) = (before, after) else {
                return Err(format!("the model cuts positions of {input} off before it"));
            };
            return Ok(Self { input: Some(input.clone()), sequence, before, after });
        }
        let from_tokens = positions.sources.iter().any(own);
        if positions.inputs.is_empty() && from_tokens {
            return by_length(&|name| positions.sources.iter().any(|source| source == name), sequence);
        }
        Ok(Self { input: None, sequence, before: 0, after: 0 })
    }

    /// The tokens of a sample; `None` where all positions count.
    #[must_use]
    pub fn tokens<'a>(&self, sample: &'a Sample) -> Option<Tokens<'a>> {
        sample.tokens(self.input.as_deref()?)
    }

    /// Where the tokens of a sample stand along an axis of `length` positions; all of it where they have none.
    ///
    /// # Errors
    /// The positions that the tokens need, if the axis has not so many.
    pub fn range(&self, sample: &Sample, length: usize) -> Result<Range<usize>, Range<usize>> {
        let Some(Tokens { span, .. }) = self.tokens(sample) else { return Ok(0..length) };
        let found = span.start.saturating_add(self.before)..span.end.saturating_add(self.before);
        if span.start > span.end || found.end.saturating_add(self.after) > length {
            Err(span)
        } else {
            Ok(found)
        }
    }

    /// Samples whose own tokens are those of this sequence, where they stand along its axis; `None` where the samples are
    /// like that already.
    #[must_use]
    pub fn as_read(&self, samples: &[Sample]) -> Option<Vec<Sample>> {
        if self.input.as_deref() == Some(TOKENS) && self.before == 0 {
            return None;
        }
        let own = |sample: &Sample| {
            let Some(Tokens { ids, special, span }) = self.tokens(sample) else {
                let (token_ids, special, offsets) = (Vec::new(), Vec::new(), Vec::new());
                return Sample { token_ids, special, offsets, span: 0..0, ..sample.clone() };
            };
            let main = self.input.as_deref() == Some(TOKENS);
            Sample {
                token_ids: ids.to_vec(),
                special: special.to_vec(),
                // The text is that of the other tokens.
                text: sample.text.clone().filter(|_| main),
                offsets: if main { sample.offsets.clone() } else { vec![0..0; ids.len()] },
                span: span.start.saturating_add(self.before)..span.end.saturating_add(self.before),
                fields: sample.fields.clone(),
                ..Sample::new(sample.id)
            }
        };
        Some(samples.iter().map(own).collect())
    }

    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> String {
        self.input.clone().unwrap_or_else(|| "all positions".to_owned())
    }

    /// True if both have the same positions.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let alike = self.sequence.is_none() || other.sequence.is_none() || self.sequence == other.sequence;
        match (&self.input, &other.input) {
            (Some(one), Some(other)) => one == other,
            (None, None) => alike,
            _ => false,
        }
    }
}

/// The shape that a tensor had in the recorded batch; empty where the graph does not have it.
#[must_use]
pub fn recorded_shape<'a>(model: &ModelView<'a>, id: TensorId) -> &'a [i64] {
    model.graph.tensor(id).map_or(&[], |t| &t.shape)
}
