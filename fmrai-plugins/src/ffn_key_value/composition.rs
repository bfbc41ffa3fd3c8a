//! How a layer's prediction is composed of what the stream held and what its memories add.

use std::collections::BTreeSet;

use ndarray::ArrayView2;

use super::projection::Projection;
use super::sample::Sample;
use super::values::{Distributions, distributions};

/// Shares of the positions that were drawn, for one layer. With `top(x)` the most probable token of `x` read through the model's own
/// map: `r` the stream before the block, `y` what the block writes, `o` the stream after it.
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
    /// The most probable token of `y`, read as values are, is that of none of the layer's values.
    pub(super) zero_agreement: f64,
    /// `top(r)` is already the model's own prediction.
    pub(super) decided: f64,
    /// Mean probability that `r` gives to the model's own prediction.
    pub(super) probability: f64,
}

/// How vectors are read.
pub(super) struct Readers<'a> {
    /// Streams.
    pub(super) stream: &'a Projection,
    /// What is added to streams.
    pub(super) sum: &'a Projection,
    /// Values.
    pub(super) values: &'a Projection,
}

/// The shares of each layer whose stream is known; none without positions.
pub(super) fn compositions(
    sample: &Sample,
    readers: &Readers<'_>,
    values: &[Distributions],
) -> Result<Vec<Composition>, String> {
    let count = sample.len();
    if count == 0 {
        return Ok(Vec::new());
    }
    let read = |vectors: &[f32], reader: &Projection, targets: &[Option<u32>]| {
        let vectors = ArrayView2::from_shape((count, sample.channels), vectors).map_err(|e| e.to_string())?;
        distributions(reader, vectors, targets, 1)
    };
    let nothing = vec![None; count];
    let tops = |d: &Distributions| -> Vec<Option<u32>> { (0..count).map(|i| Some(d.top(i)?.0)).collect() };
    // What the model predicts is what it says itself, where it does.
    let end = match sample.model() {
        Some(said) => said.iter().map(|(top, _)| Some(*top)).collect(),
        None => tops(&read(&sample.end(), readers.stream, &nothing)?),
    };
    let mut all = Vec::with_capacity(sample.layers.len());
    for (i, &(layer, _)) in sample.layers.iter().enumerate() {
        let written = sample.part(i, 1);
        let before = read(&sample.part(i, 0), readers.stream, &end)?;
        let y = tops(&read(&written, readers.sum, &nothing)?);
        let r = tops(&before);
        let o = tops(&read(&sample.part(i, 2), readers.stream, &nothing)?);
        let as_values = if readers.values.is_table() {
            tops(&read(&written, readers.values, &nothing)?)
        } else {
            y.clone()
        };
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
            zero_agreement: share(&|i| as_values[i].is_none_or(|top| !of_values.contains(&top))),
            decided: share(&|i| r[i] == end[i]),
            probability: before.target_probabilities.iter().sum::<f64>() / count as f64,
        });
    }
    Ok(all)
}
