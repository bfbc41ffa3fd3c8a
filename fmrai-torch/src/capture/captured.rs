//! The kept tensors of one pass.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use fmrai_core::graph::TensorId;
use fmrai_core::tensor::{DType, DeviceTensor, TensorError, TensorView};
use fmrai_core::tracker::Activations;

use crate::device::Device;
use crate::ffi::plain::PlainTensor;
use crate::ffi::settings::synchronize;
use crate::ffi::tensor::Tensor;

/// Tensors kept during a forward pass. Their memory is shared with nothing, so no later pass can change it.
///
/// Those of a CUDA device stay there, and come to the CPU when they are first read as plain memory.
#[derive(Default)]
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
            match tensor.dense_copy() {
                Ok(resident) => {
                    let shape = resident.shape();
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
        let made = || self.resident.as_ref().and_then(|tensor| plain(tensor.clone()));
        self.plain.get_or_init(made).as_ref()
    }
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
        synchronize(ordinal).ok()?;
        resident.on_device(&captured.shape)
    }
}
