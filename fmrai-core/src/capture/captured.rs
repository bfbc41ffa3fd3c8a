//! The kept tensors of one pass.

use std::collections::BTreeMap;

use super::ffi::PlainTensor;
use crate::graph::TensorId;
use crate::tensor::{DType, TensorError, TensorView};
use crate::tracker::{Activations, TrackError};

/// Tensors kept during a forward pass. Their memory is shared with nothing, so no later pass can change it.
pub struct CapturedTensors {
    tensors: BTreeMap<TensorId, Captured>,
}

struct Captured {
    shape: Vec<usize>,
    plain: PlainTensor,
}

impl CapturedTensors {
    pub(super) fn new(kept: Vec<(TensorId, tch::Tensor)>) -> Result<Self, TrackError> {
        let mut tensors = BTreeMap::new();
        for (id, tensor) in kept {
            let shape = tensor.size().into_iter().map(|d| usize::try_from(d).unwrap_or(0)).collect();
            let plain = PlainTensor::new(tensor).map_err(TrackError::Internal)?;
            tensors.insert(id, Captured { shape, plain });
        }
        Ok(Self { tensors })
    }

    pub(super) fn contains(&self, id: TensorId) -> bool {
        self.tensors.contains_key(&id)
    }
}

impl Activations for CapturedTensors {
    fn tensor(&self, id: TensorId) -> Option<Result<TensorView<'_>, TensorError>> {
        let captured = self.tensors.get(&id)?;
        Some(match captured.plain.data() {
            Some(data) => TensorView::new(&captured.shape, data),
            None => Err(TensorError::DType { found: DType::Other, needed: DType::Float32 }),
        })
    }
}
