//! The kept tensors of one pass.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;

use fmrai_core::graph::TensorId;
use fmrai_core::tensor::{DType, DeviceTensor, TensorError, TensorView};
use fmrai_core::tracker::Activations;

use crate::device::Device;
use crate::ffi::plain::{PlainTensor, alone};
use crate::ffi::settings::synchronize;
use crate::ffi::tensor::Tensor;

/// Tensors kept during a forward pass. Their memory is shared with nothing but each other, so no later pass can change it.
///
/// They become dense, of a plain type, when they are first read: until then, views of one memory are no more than that. What something else
/// reaches, such as a weight, is copied at once. Tensors of a CUDA device stay there, and come to the CPU when they are first read.
#[derive(Default)]
pub struct CapturedTensors {
    tensors: BTreeMap<TensorId, Captured>,
}

struct Captured {
    shape: Vec<usize>,
    /// As the pass left it; taken when it becomes dense.
    kept: Cell<Option<Tensor>>,
    /// `None` for tensors without elements in memory: nested, meta, ...
    plain: OnceCell<Option<PlainTensor>>,
    /// A copy of its own on the device.
    resident: Option<Tensor>,
}

impl Captured {
    /// `alone` if nothing reaches the memory but what was kept with it.
    fn new(tensor: Tensor, alone: bool) -> Self {
        if matches!(tensor.device(), Device::Cuda(_)) {
            match tensor.dense_copy() {
                Ok(resident) => {
                    let shape = resident.shape();
                    let (kept, plain) = (Cell::default(), OnceCell::new());
                    return Self { shape, kept, plain, resident: Some(resident) };
                }
                Err(message) => tracing::debug!(%message, "a kept tensor cannot stay on its device"),
            }
        }
        if alone {
            let (shape, kept) = (tensor.shape(), Cell::new(Some(tensor)));
            return Self { shape, kept, plain: OnceCell::new(), resident: None };
        }
        let plain = plain(tensor);
        let shape = plain.as_ref().map(PlainTensor::shape).unwrap_or_default();
        Self { shape, kept: Cell::default(), plain: OnceCell::from(plain), resident: None }
    }

    fn plain(&self) -> Option<&PlainTensor> {
        let made = || self.kept.take().or_else(|| self.resident.clone()).and_then(plain);
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
        let references: Vec<&Tensor> = kept.iter().map(|(_, tensor)| tensor).collect();
        let alone = alone(&references).unwrap_or_else(|message| {
            tracing::debug!(%message, "all that was kept is copied");
            Vec::new()
        });
        let alone = alone.into_iter().chain(std::iter::repeat(false));
        let captured =
            kept.into_iter().zip(alone).map(|((id, tensor), alone)| (id, Captured::new(tensor, alone)));
        Self { tensors: captured.collect() }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Tensor {
        Tensor::from_slice(&[0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap().reshape(&[2, 3]).unwrap()
    }

    fn captured(tensors: Vec<Tensor>) -> CapturedTensors {
        CapturedTensors::new((0..).map(TensorId).zip(tensors).collect())
    }

    fn read(captured: &CapturedTensors, id: u32) -> Vec<f32> {
        let view = captured.tensor(TensorId(id)).unwrap().unwrap();
        view.f32().unwrap().to_vec()
    }

    fn waits(captured: &CapturedTensors, id: u32) -> bool {
        captured.tensors[&TensorId(id)].plain.get().is_none()
    }

    #[test]
    fn views_of_one_memory_become_dense_when_they_are_read() {
        let whole = numbers();
        let (right, row) = (whole.narrow(1, 1, 2).unwrap(), whole.select(0, 1).unwrap());
        let again = right.clone();
        let captured = captured(vec![whole, right, row, again]);
        assert!((0..4).all(|id| waits(&captured, id)));
        assert_eq!(read(&captured, 1), [1.0, 2.0, 4.0, 5.0]);
        assert!(!waits(&captured, 1) && waits(&captured, 0));
        assert_eq!(read(&captured, 0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(read(&captured, 2), [3.0, 4.0, 5.0]);
        assert_eq!(read(&captured, 3), read(&captured, 1));
    }

    #[test]
    fn a_view_whose_whole_was_not_kept_needs_no_copy_before_it_is_read() {
        let right = numbers().narrow(1, 1, 2).unwrap();
        let captured = captured(vec![right]);
        assert!(waits(&captured, 0));
        assert_eq!(read(&captured, 0), [1.0, 2.0, 4.0, 5.0]);
    }

    #[test]
    fn what_something_else_reaches_is_copied_before_it_can_change() {
        let (weight, of_others) = (numbers(), numbers());
        let view = of_others.select(0, 0).unwrap();
        let captured = captured(vec![weight.narrow(0, 1, 1).unwrap(), weight.clone(), of_others, numbers()]);
        assert_eq!([0, 1, 2, 3].map(|id| waits(&captured, id)), [false, false, false, true]);
        for tensor in [&weight, &view] {
            tensor.write_part(0, &9.0f32.to_ne_bytes().repeat(3)).unwrap();
        }
        weight.write_part(12, &9.0f32.to_ne_bytes().repeat(3)).unwrap();
        assert_eq!(read(&captured, 0), [3.0, 4.0, 5.0]);
        assert_eq!(read(&captured, 1), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(read(&captured, 2), read(&captured, 1));
    }
}
