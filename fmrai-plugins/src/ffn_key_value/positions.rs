//! Reading captured tensors: which rows belong to which text.

use std::ops::Range;

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::graph::TensorId;

use super::config::Strategy;

/// A captured tensor `[batch, token, channel]`, or with batch and tokens in one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) data: &'a [f32],
    pub(super) width: usize,
    /// Positions of each sample, padding included.
    pub(super) positions: usize,
}

impl<'a> Rows<'a> {
    /// Reads a tensor whose last axis has `width` elements.
    pub(super) fn read(batch: &Batch<'a>, id: TensorId, width: usize) -> Result<Self, AnalyzerError> {
        let samples = batch.samples();
        let view = batch.elements::<f32>(id)?;
        let data = view.data();
        let rows = data.len().checked_div(width).unwrap_or(0);
        let outer = view.shape().first().copied().unwrap_or(0);
        let fits = view.shape().last() == Some(&width)
            && view.shape().len() > 1
            && !samples.is_empty()
            && outer.is_multiple_of(samples.len());
        if !fits {
            let needed = format!(
                "[batch, token, channel] = [{}, n, {width}] or [batch * token, channel]",
                samples.len()
            );
            return Err(view.misshapen(needed));
        }
        let positions = rows / samples.len();
        match samples.iter().find(|s| s.span.start > s.span.end || s.span.end > positions) {
            None => Ok(Self { data, width, positions }),
            Some(s) => Err(view
                .misshapen(format!("the positions {} to {} of sample {}", s.span.start, s.span.end, s.id))),
        }
    }

    /// The row of a position.
    pub(super) fn row(&self, at: Position) -> &'a [f32] {
        let start = (at.sample * self.positions + at.position) * self.width;
        self.data.get(start..start + self.width).unwrap_or_default()
    }

    /// Some channels of the row of a position.
    pub(super) fn part(&self, at: Position, channels: Range<usize>) -> &'a [f32] {
        self.row(at).get(channels).unwrap_or_default()
    }
}

/// A position of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// Row of the batch.
    pub(super) sample: usize,
    /// Position in the padded row.
    pub(super) position: usize,
    /// Position in the text, from 0.
    pub(super) token: u32,
}

/// The positions of a batch that are looked at, text by text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) at: Vec<Position>,
    /// For each text that has any: row of the batch, and where its positions end in `at`.
    pub(super) texts: Vec<(usize, usize)>,
}

impl Selection {
    /// The positions that a strategy admits. `positions` is the length of rows whose sample has no tokens.
    pub(super) fn of(samples: &[Sample], positions: usize, strategy: Strategy, special_tokens: bool) -> Self {
        let mut selection = Self::default();
        for (row, sample) in samples.iter().enumerate() {
            let whole = sample.token_ids.is_empty() && sample.span.is_empty();
            let span = if whole { 0..positions } else { sample.span.clone() };
            let added = |token: usize| sample.special.get(token) == Some(&true);
            let before = selection.at.len();
            for (token, position) in span.enumerate() {
                let admitted = match strategy {
                    Strategy::FirstToken => token == 0,
                    Strategy::Prefix => special_tokens || !added(token),
                };
                if admitted && let Ok(token) = u32::try_from(token) {
                    selection.at.push(Position { sample: row, position, token });
                }
            }
            if selection.at.len() > before {
                selection.texts.push((row, selection.at.len()));
            }
        }
        selection
    }
}
