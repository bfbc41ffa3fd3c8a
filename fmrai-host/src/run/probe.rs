//! Passes that show which parts of the tensors belong to which sample.

use std::collections::BTreeMap;

use fmrai_core::graph::TensorId;
use fmrai_core::tracker::CaptureRequest;
use fmrai_torch::model::NamedTensors;
use fmrai_torch::{Tensor, TorchError};

use super::rows::{Layout, mixes, read};
use super::watched::Watched;
use crate::error::Error;

/// Looks for the samples in the tensors of a request: three passes on rows made of those of `inputs`, which leave no trace. `whole`
/// names inputs whose rows are no samples.
///
/// An error of the model is no error here: it then cannot be told.
pub(super) fn layouts(
    watched: &mut Watched<'_>,
    inputs: &NamedTensors,
    whole: &[String],
    request: &CaptureRequest,
    rows: usize,
) -> Result<BTreeMap<TensorId, Layout>, Error> {
    let unknown = || request.tensors().map(|id| (id, Layout::UNKNOWN)).collect();
    let Ok(Some(batches)) = Batches::of(inputs, whole, rows) else { return Ok(unknown()) };
    let mut pass = |inputs: &NamedTensors| match watched.aside(inputs, request) {
        Ok(activations) => Some(activations),
        Err(error) => {
            tracing::debug!(%error, "the samples of a batch cannot be told apart by passes on other rows");
            None
        }
    };
    let (Some(first), Some(moved), Some(other)) =
        (pass(&batches.first), pass(&batches.moved), pass(&batches.other))
    else {
        return Ok(unknown());
    };
    let layout = |id| {
        let all = (first.tensor(id), moved.tensor(id), other.tensor(id));
        let (Some(Ok(first)), Some(Ok(moved)), Some(Ok(other))) = all else { return Layout::UNKNOWN };
        let found = read(&first, &moved, rows);
        let mixed = mixes(&found, &first, &moved, &other, rows);
        Layout { rows: found, mixed }
    };
    Ok(request.tensors().map(|id| (id, layout(id))).collect())
}

/// Three batches made of one.
struct Batches {
    /// Rows that all differ.
    first: NamedTensors,
    /// The same, each moved on by one, the last to the front.
    moved: NamedTensors,
    /// The same but for the last row.
    other: NamedTensors,
}

impl Batches {
    /// `None` if its rows are the same however they are turned.
    fn of(inputs: &NamedTensors, whole: &[String], rows: usize) -> Result<Option<Self>, TorchError> {
        let count = i64::try_from(rows).unwrap_or(i64::MAX);
        let (mut first, mut moved, mut other) = (Vec::new(), Vec::new(), Vec::new());
        let mut moves = false;
        for (name, tensor) in &inputs.0 {
            let sampled = !whole.contains(name) && tensor.size().first() == Some(&count);
            let turned = if sampled && rows > 1 { turned(tensor, count)? } else { tensor.clone() };
            let (mut on, mut last) = (turned.clone(), turned.clone());
            if sampled && rows > 1 {
                on = turned.roll(1, 0)?;
                let (front, start) = (turned.narrow(0, 0, count - 1)?, turned.narrow(0, 0, 1)?);
                last = Tensor::cat(&[&front, &start], 0)?;
                moves |= !on.equal(&turned)?;
            }
            first.push((name.clone(), turned));
            moved.push((name.clone(), on));
            other.push((name.clone(), last));
        }
        let [first, moved, other] = [first, moved, other].map(NamedTensors);
        Ok(moves.then_some(Self { first, moved, other }))
    }
}

/// Rows that differ even where those of the batch do not: row `r` is turned by `r` places along its last axis, and real numbers in it
/// are a little larger from row to row.
fn turned(tensor: &Tensor, rows: i64) -> Result<Tensor, TorchError> {
    let last = i64::try_from(tensor.dim()).unwrap_or(1) - 1;
    let mut turned = Vec::new();
    for row in 0..rows {
        let one = tensor.narrow(0, row, 1)?;
        let one = if last > 0 { one.roll(row, last)? } else { one };
        let real = one.dtype().is_float();
        #[expect(clippy::cast_precision_loss, reason = "a few rows")]
        let share = 1.0 + row as f64 / (4.0 * rows as f64);
        turned.push(if real { one.mul_scalar(share)? } else { one });
    }
    Tensor::cat(&turned.iter().collect::<Vec<_>>(), 0)
}
