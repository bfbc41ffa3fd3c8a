//! What single neurons add.

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::TensorId;
use ndarray::Array2;

use super::layout::Neurons;
use crate::lens::LensError;
use crate::lens::frozen::{Covectors, LoadedPath};

/// The neurons of a block with the weights behind them.
#[derive(Debug)]
pub(super) struct LoadedNeurons {
    pub(super) layer: usize,
    pub(super) count: usize,
    pub(super) activation: TensorId,
    first: usize,
    path: LoadedPath,
}

impl LoadedNeurons {
    /// Those of a block, with so many in the blocks before.
    pub(super) fn of(first: usize, neurons: &Neurons, weights: &dyn Weights) -> Result<Self, LensError> {
        let activation = neurons.path.given().first().copied().ok_or(LensError::NoStream)?;
        let path = neurons.path.load(weights)?;
        Ok(Self { layer: neurons.layer, count: neurons.count, activation, first, path })
    }

    /// Adds to the numbers of all neurons what these add, where `covectors` are asked of what the block gives.
    pub(super) fn add(
        &self,
        activations: &Array2<f32>,
        covectors: Array2<f64>,
        all: &mut [f64],
    ) -> Result<(), LensError> {
        let pulled = self.path.pull(&[activations.view()], Covectors::All(covectors))?;
        let Some(covectors) = pulled.covectors.first() else { return Ok(()) };
        for (covectors, activations) in covectors.rows().into_iter().zip(activations.rows()) {
            let neurons = all.iter_mut().skip(self.first).take(self.count);
            for ((sum, covector), activation) in neurons.zip(covectors).zip(activations) {
                *sum += covector * f64::from(*activation);
            }
        }
        Ok(())
    }
}

/// The neurons that add or take away most: their places among all, of equal ones the first ones.
pub(super) fn strongest(contributions: &[f64], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> =
        (0..contributions.len()).filter(|at| contributions[*at].is_finite()).collect();
    order.sort_by(|a, b| contributions[*b].abs().total_cmp(&contributions[*a].abs()).then(a.cmp(b)));
    order.truncate(most);
    order
}
