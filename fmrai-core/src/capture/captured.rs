//! The kept tensors of one pass.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use tch::{Device, TchError, Tensor};

use super::ffi::PlainTensor;
use crate::graph::TensorId;
use crate::tensor::{DType, DeviceTensor, TensorError, TensorView};
use crate::tracker::Activations;

/// Tensors kept during a forward pass. Their memory is shared with nothing, so no later pass can change it.
///
/// Those of a CUDA device stay there, and come to the CPU when they are first read as plain memory.
pub struct CapturedTensors {
    tensors: BTreeMap<TensorId, Captured>,
}

struct Captured {
    shape: Vec<usize>,
    /// `None` for tensors without elements in memory: nested, meta, ...
    plain: OnceCell<Option<PlainTensor>>,
    /// A copy of its own on the device.
    resident: Option<Tensor>,
}

impl Captured {
    fn new(tensor: Tensor) -> Self {
        if matches!(tensor.device(), Device::Cuda(_)) {
            match own_copy(&tensor) {
                Ok(resident) => {
                    let size = |d: i64| usize::try_from(d).unwrap_or(0);
                    let shape = resident.size().into_iter().map(size).collect();
                    return Self { shape, plain: OnceCell::new(), resident: Some(resident) };
                }
                Err(message) => tracing::debug!(%message, "a kept tensor cannot stay on its device"),
            }
        }
        let plain = plain(tensor);
        let shape = plain.as_ref().map(PlainTensor::shape).unwrap_or_default();
        Self { shape, plain: OnceCell::from(plain), resident: None }
    }

    fn plain(&self) -> Option<&PlainTensor> {
        let made = || self.resident.as_ref().and_then(|tensor| plain(tensor.shallow_clone()));
        self.plain.get_or_init(made).as_ref()
    }
}

fn own_copy(tensor: &Tensor) -> Result<Tensor, TchError> {
    let dense = tensor.f_detach()?.f_resolve_conj()?.f_resolve_neg()?.f_contiguous()?;
    let copy = dense.f_empty_like()?;
    copy.shallow_clone().f_copy_(&dense)?;
    Ok(copy)
}

fn plain(tensor: Tensor) -> Option<PlainTensor> {
    match PlainTensor::new(tensor) {
        Ok(plain) => Some(plain),
        Err(message) => {
            tracing::debug!(%message, "a kept tensor has no plain form");
            None
        }
    }
}

impl CapturedTensors {
    pub(super) fn new(kept: Vec<(TensorId, Tensor)>) -> Self {
        Self { tensors: kept.into_iter().map(|(id, tensor)| (id, Captured::new(tensor))).collect() }
    }

    pub(super) fn contains(&self, id: TensorId) -> bool {
        self.tensors.contains_key(&id)
    }
}

impl Activations for CapturedTensors {
    fn tensor(&self, id: TensorId) -> Option<Result<TensorView<'_>, TensorError>> {
        let captured = self.tensors.get(&id)?;
        Some(match captured.plain().and_then(PlainTensor::data) {
            Some(data) => TensorView::new(&captured.shape, data),
            None => Err(TensorError::DType { found: DType::Other, needed: DType::Float32 }),
        })
    }

    fn on_device(&self, id: TensorId) -> Option<DeviceTensor<'_>> {
        let captured = self.tensors.get(&id)?;
        let resident = captured.resident.as_ref()?;
        let Device::Cuda(ordinal) = resident.device() else { return None };
        // Whoever reads it knows nothing of our stream.
        tch::Cuda::synchronize(i64::try_from(ordinal).ok()?);
        DeviceTensor::of(resident, &captured.shape)
    }
}
