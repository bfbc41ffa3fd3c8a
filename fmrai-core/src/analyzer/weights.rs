//! The weights of a model, as analyzers read them.

use crate::graph::TensorId;
use crate::tensor::{TensorError, TensorValue};

/// The elements of a model's weights, read when they are needed.
pub trait Weights: Send + Sync {
    /// A copy of a named parameter of the graph as `f32`, of the shape that the graph has for it; `None` for any other
    /// tensor.
    ///
    /// # Errors
    /// [`TensorError::DType`] for elements that have no such form, such as quantised ones.
    fn weight(&self, id: TensorId) -> Option<Result<TensorValue, TensorError>>;
}

const _: Option<&dyn Weights> = None; // stays object-safe
