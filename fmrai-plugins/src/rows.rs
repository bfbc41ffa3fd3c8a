//! Captured tensors read row by row, one for each position.

use std::ops::Range;

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Batch;
use fmrai_core::graph::TensorId;

/// A captured tensor `[batch, token, channel]`, or with batch and tokens in one axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) width: usize,
    /// Positions of each sample, padding included.
    pub(crate) positions: usize,
}

impl<'a> Rows<'a> {
    /// Reads a tensor whose last axis has `width` elements.
    pub(crate) fn read(batch: &Batch<'a>, id: TensorId, width: usize) -> Result<Self, AnalyzerError> {
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

    /// The row of a position of a sample.
    pub(crate) fn row(&self, sample: usize, position: usize) -> &'a [f32] {
        let start = (sample * self.positions + position) * self.width;
        self.data.get(start..start + self.width).unwrap_or_default()
    }

    /// Some channels of it.
    pub(crate) fn part(&self, sample: usize, position: usize, channels: Range<usize>) -> &'a [f32] {
        self.row(sample, position).get(channels).unwrap_or_default()
    }
}
