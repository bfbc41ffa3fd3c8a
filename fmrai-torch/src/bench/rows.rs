//! Rows of tensors, and positions of rows.

use fmrai_core::experiment::{Axis, BenchError, Site};
use fmrai_core::tensor::{TensorData, TensorValue};

use super::measure::Chosen;
use super::value::{failed, seen, value_of};
use crate::error::TorchError;
use crate::ffi::tensor::Tensor;
use crate::operation::call;

/// A tensor of a pass as a value with the axes of its site, of the first `rows` rows.
pub(super) fn site_value(
    tensor: &Tensor,
    site: &Site,
    passed: usize,
    rows: usize,
) -> Result<TensorValue, BenchError> {
    let mut sizes = seen(site.place, &site.layout, tensor, passed)?;
    let mut shaped = tensor.reshape(&sizes).map_err(failed)?;
    if let Some(axis) = site.layout.axis(Axis::Row).filter(|_| rows < passed) {
        shaped = shaped.narrow(axis as i64, 0, rows as i64).map_err(failed)?;
        sizes[axis] = rows as i64;
    }
    value_of(&shaped, &sizes).map_err(failed)
}

/// Some rows of a value.
pub(super) fn rows_of(
    value: &TensorValue,
    site: &Site,
    start: usize,
    count: usize,
) -> Result<TensorValue, BenchError> {
    let shape = value.shape();
    let axis = site.layout.axis(Axis::Row).unwrap_or(0);
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let rows = shape[axis];
    let data = match value.data() {
        TensorData::F32(data) => part(data, outer, rows, inner, start, count).into(),
        TensorData::F64(data) => part(data, outer, rows, inner, start, count).into(),
        TensorData::I64(data) => part(data, outer, rows, inner, start, count).into(),
    };
    let mut shape = shape.to_vec();
    shape[axis] = count;
    TensorValue::new(shape, data).map_err(|error| BenchError::Pass(error.to_string()))
}

fn part<T: Copy>(data: &[T], outer: usize, rows: usize, inner: usize, start: usize, count: usize) -> Vec<T> {
    let one = |at: usize| &data[(at * rows + start) * inner..(at * rows + start + count) * inner];
    (0..outer).flat_map(|at| one(at).iter().copied()).collect()
}

/// The first rows of a tensor whose rows lie along axis 0, alone or with something else.
pub(super) fn real_rows(tensor: &Tensor, passed: usize, rows: usize) -> Result<Tensor, BenchError> {
    let size = tensor.shape().first().copied().unwrap_or(0);
    if rows == passed || !size.is_multiple_of(passed.max(1)) {
        return Ok(tensor.clone());
    }
    tensor.narrow(0, 0, (size / passed * rows) as i64).map_err(failed)
}

/// The chosen positions of these rows of a tensor `[row, position, channel]`, one after the other.
pub(super) fn pick(seen: &Tensor, rows: &[usize], chosen: &Chosen) -> Result<Tensor, TorchError> {
    let sizes = seen.size();
    let positions = sizes[1];
    let mut index: Vec<i64> = Vec::new();
    for (row, chosen) in rows.iter().zip(chosen) {
        for position in chosen.keys() {
            if *position as i64 >= positions {
                let what = format!("an objective is about position {position}, there are {positions}");
                return Err(TorchError::new(what));
            }
            index.push(*row as i64 * positions + *position as i64);
        }
    }
    let index = Tensor::from_slice(&index)?.to_device(seen.device())?;
    let flat = seen.reshape(&[-1, sizes[2]])?;
    call("aten::index_select", &[(&flat).into(), 0.into(), (&index).into()])
}
