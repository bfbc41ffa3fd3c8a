//! The kept tensors of one pass.

use std::collections::BTreeMap;

use super::ffi::PlainTensor;
use crate::graph::TensorId;
use crate::tensor::{DType, TensorError, TensorView};
use crate::tracker::Activations;

/// Tensors kept during a forward pass. Their memory is shared with nothing, so no later pass can change it.
pub struct CapturedTensors {
    tensors: BTreeMap<TensorId, Captured>,
}

struct Captured {
    shape: Vec<usize>,
    /// `None` for tensors without elements in memory: nested, meta, ...
    plain: Option<PlainTensor>,
}

impl CapturedTensors {
    pub(super) fn new(kept: Vec<(TensorId, tch::Tensor)>) -> Self {
        let captured = |tensor| match PlainTensor::new(tensor) {
            Ok(plain) => Captured { shape: plain.shape(), plain: Some(plain) },
            Err(message) => {
                tracing::debug!(%message, "a kept tensor has no plain form");
                Captured { shape: Vec::new(), plain: None }
            }
        };
        Self { tensors: kept.into_iter().map(|(id, tensor)| (id, captured(tensor))).collect() }
    }

    pub(super) fn contains(&self, id: TensorId) -> bool {
        self.tensors.contains_key(&id)
    }
}

impl Activations for CapturedTensors {
    fn tensor(&self, id: TensorId) -> Option<Result<TensorView<'_>, TensorError>> {
        let captured = self.tensors.get(&id)?;
        Some(match captured.plain.as_ref().and_then(PlainTensor::data) {
            Some(data) => TensorView::new(&captured.shape, data),
            None => Err(TensorError::DType { found: DType::Other, needed: DType::Float32 }),
        })
    }
}
