//! Tensors as values, and back.

use fmrai_core::experiment::{BenchError, Layout, Place};
use fmrai_core::tensor::{DType, TensorData, TensorValue};

use crate::error::TorchError;
use crate::ffi::tensor::Tensor;

#[expect(clippy::needless_pass_by_value, reason = "stands where errors are mapped")]
pub(super) fn failed(error: TorchError) -> BenchError {
    BenchError::Pass(error.to_string())
}

pub(super) fn signed(sizes: &[usize]) -> Vec<i64> {
    sizes.iter().map(|size| i64::try_from(*size).unwrap_or(i64::MAX)).collect()
}

/// The sizes in which a layout sees a tensor, in a pass of this many rows.
pub(super) fn seen(
    place: Place,
    layout: &Layout,
    tensor: &Tensor,
    rows: usize,
) -> Result<Vec<i64>, BenchError> {
    let shape = tensor.shape();
    layout.sizes(&shape, rows).map(|sizes| signed(&sizes)).ok_or_else(|| BenchError::Edit {
        place,
        what: format!("a tensor of shape {shape:?} cannot be seen as {:?} with {rows} rows", layout.0),
    })
}

/// A tensor as a value of these sizes: float64 stays so, all others become float32.
pub(super) fn value_of(tensor: &Tensor, sizes: &[i64]) -> Result<TensorValue, TorchError> {
    let tensor = tensor.detach()?.reshape(sizes)?;
    let data = if tensor.dtype() == DType::Float64 {
        TensorData::F64(tensor.to_vec()?)
    } else {
        TensorData::F32(tensor.to_dtype(DType::Float32)?.to_vec()?)
    };
    TensorValue::new(tensor.shape(), data).map_err(|error| TorchError::new(error.to_string()))
}

/// A value as a tensor of the same element type and device as `like`.
pub(super) fn tensor_of(value: &TensorValue, like: &Tensor) -> Result<Tensor, TorchError> {
    let flat = match value.data() {
        TensorData::F32(elements) => Tensor::from_slice(elements)?,
        TensorData::F64(elements) => Tensor::from_slice(elements)?,
        TensorData::I64(elements) => Tensor::from_slice(elements)?,
    };
    flat.reshape(&signed(value.shape()))?.to_dtype(like.dtype())?.to_device(like.device())
}
