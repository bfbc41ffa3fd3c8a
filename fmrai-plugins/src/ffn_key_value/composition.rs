//! How a layer's prediction is composed of what the stream held and what its memories add.

use std::collections::BTreeSet;

use ndarray::ArrayView2;

use super::projection::Projection;
use super::sample::Sample;
use super::values::{Distributions, distributions};

/// Shares of the positions that were drawn, for one layer. With `top(x)` the most probable token of `softmax(x · E)`:
/// `r` the stream before the block, `y` what the block writes, `o = r + y`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Composition {
    pub(super) layer: usize,
    /// `top(o) = top(r) ≠ top(y)`.
    pub(super) residual: f64,
    /// `top(o) = top(r) = top(y)`.
    pub(super) agreement: f64,
    /// `top(o) = top(y) ≠ top(r)`.
    pub(super) ffn: f64,
    /// All others.
    pub(super) composition: f64,
    /// `top(y)` is the most probable token of none of the layer's values.
    pub(super) zero_agreement: f64,
    /// `top(r)` is already `top(o)` of the last layer.
    pub(super) decided: f64,
    /// Mean probability that `r` gives to `top(o)` of the last layer.
    pub(super) probability: f64,
}

/// The shares of each layer whose stream is known; none without positions.
pub(super) fn compositions(
    sample: &Sample,
    projection: &Projection,
    values: &[Distributions],
) -> Result<Vec<Composition>, String> {
    let count = sample.len();
    let Some(last) = sample.layers.len().checked_sub(1).filter(|_| count > 0) else { return Ok(Vec::new()) };
    if sample.channels != projection.channels() {
        return Err(format!(
            "the stream has {} channels, the vocabulary's vectors have {}",
            sample.channels,
            projection.channels()
        ));
    }
    let mapped = |layer, part, targets: &[Option<u32>]| {
        let data = sample.part(layer, part);
        let vectors = ArrayView2::from_shape((count, sample.channels), &data).map_err(|e| e.to_string())?;
        Ok::<_, String>(distributions(projection, vectors, targets, 1))
    };
    let nothing = vec![None; count];
    let tops = |d: &Distributions| -> Vec<Option<u32>> { (0..count).map(|i| Some(d.top(i)?.0)).collect() };
    let end = tops(&mapped(last, 2, &nothing)?);
    let mut all = Vec::with_capacity(sample.layers.len());
    for (i, &(layer, _)) in sample.layers.iter().enumerate() {
        let before = mapped(i, 0, &end)?;
        let (r, y) = (tops(&before), tops(&mapped(i, 1, &nothing)?));
        let o = if i == last { end.clone() } else { tops(&mapped(i, 2, &nothing)?) };
        let of_values: BTreeSet<u32> = values
            .get(layer)
            .into_iter()
            .flat_map(|d| (0..d.ranks.len()).filter_map(|neuron| Some(d.top(neuron)?.0)))
            .collect();
        let share =
            |holds: &dyn Fn(usize) -> bool| (0..count).filter(|i| holds(*i)).count() as f64 / count as f64;
        all.push(Composition {
            layer,
            residual: share(&|i| o[i] == r[i] && r[i] != y[i]),
            agreement: share(&|i| o[i] == r[i] && r[i] == y[i]),
            ffn: share(&|i| o[i] == y[i] && y[i] != r[i]),
            composition: share(&|i| o[i] != r[i] && o[i] != y[i]),
            zero_agreement: share(&|i| y[i].is_none_or(|top| !of_values.contains(&top))),
            decided: share(&|i| r[i] == end[i]),
            probability: before.target_probabilities.iter().sum::<f64>() / count as f64,
        });
    }
    Ok(all)
}
