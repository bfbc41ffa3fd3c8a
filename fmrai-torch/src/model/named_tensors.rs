//! Tensors with names.

use crate::ffi::tensor::Tensor;

/// Named tensors, as a model takes and returns them, e.g. `input_ids [batch, token]` of int64.
#[derive(Debug, Default)]
pub struct NamedTensors(pub Vec<(String, Tensor)>);

impl NamedTensors {
    /// The tensor called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, t)| t)
    }
}
