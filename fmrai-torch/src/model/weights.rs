//! The weights of a loaded model, as analyzers read them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::{Graph, Origin, TensorId};
use fmrai_core::tensor::{DType, TensorData, TensorError, TensorValue};

use super::loaded::Model;
use crate::device::Device;
use crate::error::TorchError;
use crate::ffi::tensor::Tensor;

/// The named parameters of a graph, sharing memory with the model that was recorded.
pub struct LoadedWeights {
    tensors: BTreeMap<TensorId, Mutex<Tensor>>,
}

impl LoadedWeights {
    /// The parameters of `graph`, which was recorded of `model`.
    #[must_use]
    pub fn of(model: &dyn Model, graph: &dyn Graph) -> Self {
        let mut named: BTreeMap<String, Tensor> = model.parameters().into_iter().collect();
        let parameters = graph.tensors().iter().filter(|t| t.origin == Origin::Parameter);
        let tensors = parameters.filter_map(|t| Some((t.id, named.remove(t.name.as_ref()?)?.into())));
        Self { tensors: tensors.collect() }
    }
}

impl Weights for LoadedWeights {
    fn weight(&self, id: TensorId) -> Option<Result<TensorValue, TensorError>> {
        let tensor = self.tensors.get(&id)?.lock().unwrap_or_else(PoisonError::into_inner);
        let found = tensor.dtype();
        let unreadable = || TensorError::DType { found, needed: DType::Float32 };
        // Whole numbers and truth values are those of masks and tables of places; quantised ones have no such form.
        let whole = matches!(
            found,
            DType::Bool | DType::UInt8 | DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64
        );
        if !found.is_float() && !whole {
            return Some(Err(unreadable()));
        }
        let read = || -> Result<(Vec<usize>, Vec<f32>), TorchError> {
            let plain = tensor.detach()?.to_device(Device::Cpu)?.to_dtype(DType::Float32)?;
            Ok((tensor.shape(), plain.to_vec()?))
        };
        Some(match read() {
            Ok((shape, data)) => TensorValue::new(shape, TensorData::F32(data)),
            Err(error) => {
                tracing::debug!(%error, "a weight cannot be read");
                Err(unreadable())
            }
        })
    }
}

impl fmt::Debug for LoadedWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedWeights").field("tensors", &self.tensors.len()).finish()
    }
}
