//! Tensors of tch at the edges of models, which speak fMRAi's own. Part of several test programs.
#![allow(dead_code, reason = "each program uses some of it")]
#![allow(clippy::panic, reason = "helpers of tests fail as tests do")]

use fmrai_models::{from_tch, to_tch};
use fmrai_torch::model::NamedTensors;

/// A tensor, whoever holds it.
pub(crate) trait AsTch {
    /// As tch holds it, sharing its elements.
    fn tch(&self) -> tch::Tensor;
}

impl AsTch for tch::Tensor {
    fn tch(&self) -> tch::Tensor {
        self.shallow_clone()
    }
}

impl AsTch for fmrai_torch::Tensor {
    fn tch(&self) -> tch::Tensor {
        to_tch(self)
    }
}

/// Tensors as a model takes them, sharing their elements.
pub(crate) fn named<N: Into<String>>(tensors: impl IntoIterator<Item = (N, tch::Tensor)>) -> NamedTensors {
    NamedTensors(tensors.into_iter().map(|(name, tensor)| (name.into(), from_tch(&tensor))).collect())
}

/// What a model gives under this name, as tch holds it.
pub(crate) fn output(outputs: &NamedTensors, name: &str) -> tch::Tensor {
    outputs.get(name).unwrap_or_else(|| panic!("no {name}")).tch()
}
