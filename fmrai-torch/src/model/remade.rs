//! Weights that are not in memory all the time.

use super::error::ModelError;
use crate::ffi::tensor::Tensor;

/// Weights that a model makes anew for each pass, because all of them are more than there is memory for. Between passes, the tensors of
/// [`Model::parameters`](super::Model::parameters) that stand for them hold nothing but NaN.
pub trait RemadeWeights: Send + Sync {
    /// The values of the parameter called `name`; `None` if that one is in memory all the time.
    ///
    /// # Errors
    /// [`ModelError`] if it cannot be read again.
    fn weight(&self, name: &str) -> Option<Result<Tensor, ModelError>>;
}

const _: Option<&dyn RemadeWeights> = None; // stays object-safe
