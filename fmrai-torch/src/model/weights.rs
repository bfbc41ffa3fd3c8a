//! The weights of a loaded model, as analyzers read them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::{Graph, Origin, TensorId};
use fmrai_core::tensor::{DType, TensorData, TensorError, TensorValue};

use super::error::ModelError;
use super::loaded::Model;
use super::remade::RemadeWeights;
use crate::device::Device;
use crate::ffi::tensor::Tensor;

/// The named parameters of a graph, sharing memory with the model that was recorded.
pub struct LoadedWeights {
    tensors: BTreeMap<TensorId, (String, Mutex<Tensor>)>,
    remade: Option<Arc<dyn RemadeWeights>>,
}

impl LoadedWeights {
    /// The parameters of `graph`, which was recorded of `model`.
    #[must_use]
    pub fn of(model: &dyn Model, graph: &dyn Graph) -> Self {
        let mut named: BTreeMap<String, Tensor> = model.parameters().into_iter().collect();
        let parameters = graph.tensors().iter().filter(|t| t.origin == Origin::Parameter);
        let tensors = parameters.filter_map(|t| {
            let (name, tensor) = named.remove_entry(t.name.as_ref()?)?;
            Some((t.id, (name, tensor.into())))
        });
        Self { tensors: tensors.collect(), remade: model.remade_weights() }
    }
}

impl Weights for LoadedWeights {
    fn weight(&self, id: TensorId) -> Option<Result<TensorValue, TensorError>> {
        let (name, tensor) = self.tensors.get(&id)?;
        let tensor = tensor.lock().unwrap_or_else(PoisonError::into_inner);
        let found = tensor.dtype();
        // Whole numbers and truth values are those of masks and tables of places; quantised ones have no such form.
        let whole = matches!(
            found,
            DType::Bool | DType::UInt8 | DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64
        );
        if !found.is_float() && !whole {
            return Some(Err(TensorError::DType { found, needed: DType::Float32 }));
        }
        let read = || -> Result<(Vec<usize>, Vec<f32>), ModelError> {
            let remade = self.remade.as_ref().and_then(|remade| remade.weight(name)).transpose()?;
            let tensor = remade.as_ref().unwrap_or(&tensor);
            let plain = tensor.detach()?.to_device(Device::Cpu)?.to_dtype(DType::Float32)?;
            Ok((tensor.shape(), plain.to_vec()?))
        };
        Some(match read() {
            Ok((shape, data)) => TensorValue::new(shape, TensorData::F32(data)),
            Err(error) => Err(TensorError::Unreadable(error.to_string())),
        })
    }
}

impl fmt::Debug for LoadedWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedWeights").field("tensors", &self.tensors.len()).finish()
    }
}
