//! Doing what the model does between its last stream and its logits.

use std::collections::BTreeMap;

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::TensorId;
use ndarray::{Array2, ArrayView2, Ix2};

use super::constants::{Known, evaluate};
use super::error::LensError;
use super::from::From;
use super::map::Lens;
use super::program::Program;
use super::steps::{Steps, inputs, unfit};

/// A [`Lens`] with its weights.
#[derive(Debug, Clone)]
pub struct LoadedLens {
    channels: usize,
    tokens: usize,
    constants: Known,
    from_stream: Program,
    from_sum: Program,
}

impl Lens {
    /// Reads the weights: 4 bytes for each of their elements.
    ///
    /// # Errors
    /// [`LensError::Weight`] if one cannot be read, is not finite or has a shape that does not fit.
    pub fn load(&self, weights: &dyn Weights) -> Result<LoadedLens, LensError> {
        LoadedLens::of(self, weights)
    }
}

impl LoadedLens {
    fn of(lens: &Lens, weights: &dyn Weights) -> Result<Self, LensError> {
        let all: Vec<_> =
            lens.from_sum.constants.iter().chain(&lens.from_stream.constants).cloned().collect();
        let loaded = Self {
            channels: lens.channels,
            tokens: lens.tokens,
            constants: evaluate(&all, weights)?,
            from_stream: lens.from_stream.clone(),
            from_sum: lens.from_sum.clone(),
        };
        // One row tells whether everything fits.
        for from in [From::Stream, From::Sum] {
            loaded.logits(Array2::ones((1, lens.channels)).view(), from)?;
        }
        Ok(loaded)
    }

    /// Width of what is read.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Size of the vocabulary.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The elements of a weight that the map uses as it is, of two axes.
    #[must_use]
    pub fn matrix(&self, weight: TensorId) -> Option<ndarray::ArcArray2<f32>> {
        self.constants.get(&weight)?.clone().into_dimensionality::<Ix2>().ok()
    }

    /// The logits `[row, token]` that the model would have with these vectors `[row, channel]` as its last stream.
    ///
    /// # Errors
    /// [`LensError::Channels`] for vectors of another width; [`LensError::Weight`] if a weight does not fit the others, which
    /// [`Lens::load`] has found already.
    pub fn logits(&self, vectors: ArrayView2<'_, f32>, from: From) -> Result<Array2<f32>, LensError> {
        if vectors.ncols() != self.channels {
            return Err(LensError::Channels { found: vectors.ncols(), needed: self.channels });
        }
        let program = match from {
            From::Stream => &self.from_stream,
            From::Sum => &self.from_sum,
        };
        let mut rows = BTreeMap::from([(program.start, vectors.as_standard_layout().into_owned())]);
        let mut last = BTreeMap::new();
        for (at, step) in program.steps.iter().enumerate() {
            for id in inputs(&step.action) {
                last.insert(id, at);
            }
        }
        let steps = Steps { known: &self.constants };
        for (at, step) in program.steps.iter().enumerate() {
            steps.take(step, &mut rows, &last, at)?;
        }
        let logits = rows.remove(&program.end).ok_or_else(|| unfit("it gives no logits"))?;
        if logits.ncols() != self.tokens || logits.nrows() != vectors.nrows() {
            return Err(unfit("the logits have another size than in the model"));
        }
        Ok(logits)
    }

    /// The same for rows that stand one after the other, as captured tensors have them: `[row, channel]` to `[row, token]`.
    ///
    /// # Errors
    /// As [`logits`](Self::logits); also if the last row is cut short.
    pub fn logits_of(&self, vectors: &[f32], from: From) -> Result<Vec<f32>, LensError> {
        let count = vectors.len().checked_div(self.channels).unwrap_or(0);
        let left = vectors.len() - count * self.channels;
        let rows = ArrayView2::from_shape((count, self.channels), vectors);
        let rows = rows.map_err(|_| LensError::Channels { found: left, needed: self.channels })?;
        Ok(self.logits(rows, from)?.iter().copied().collect())
    }
}
