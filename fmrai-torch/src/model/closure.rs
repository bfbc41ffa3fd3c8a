//! Models that are a closure of the caller's.

use std::path::PathBuf;

use fmrai_core::tensor::DType;
use fmrai_core::tracker::BoxError;

use super::error::ModelError;
use super::info::ModelInfo;
use super::input::InputSpec;
use super::loaded::Model;
use super::named_tensors::NamedTensors;
use crate::error::TorchError;
use crate::ffi::tensor::Tensor;
use crate::text::Tokenizer;

/// A model that is a closure: whatever runs on libtorch, such as a module that is being trained.
///
/// ```
/// use fmrai_torch::model::{ClosureModel, Model, NamedTensors};
/// use fmrai_torch::{Tensor, TorchError};
///
/// let weight = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0])?.reshape(&[2, 2])?;
/// let own = weight.clone();
/// let model = ClosureModel::new("product", vec![("weight".to_owned(), weight)], move |inputs| {
///     let x = inputs.get("x").ok_or("there is no input x")?;
///     Ok(NamedTensors(vec![("y".to_owned(), x.matmul(&own)?)]))
/// });
/// let x = Tensor::from_slice(&[1.0f32, 1.0])?.reshape(&[1, 2])?;
/// let outputs = model.forward(&NamedTensors(vec![("x".to_owned(), x)])).unwrap();
/// assert_eq!(outputs.0[0].1.to_vec::<f32>()?, [4.0, 6.0]);
/// # Ok::<(), TorchError>(())
/// ```
pub struct ClosureModel<F> {
    info: ModelInfo,
    parameters: Vec<(String, Tensor)>,
    inputs: Vec<InputSpec>,
    forward: F,
}

impl<F> ClosureModel<F>
where
    F: Fn(&NamedTensors) -> Result<NamedTensors, BoxError> + Send,
{
    /// A model of this name that computes as `forward` does. `parameters` are its weights, so that they have names; they share memory with
    /// what the closure uses.
    pub fn new(name: &str, mut parameters: Vec<(String, Tensor)>, forward: F) -> Self {
        parameters.sort_by(|one, other| one.0.cmp(&other.0));
        let info = ModelInfo {
            source: "closure".to_owned(),
            architecture: name.to_owned(),
            path: PathBuf::new(),
            files: Vec::new(),
            parameters: parameters.iter().map(|(_, tensor)| tensor.numel() as u64).sum(),
            dtype: parameters.first().map_or(DType::Float32, |(_, tensor)| tensor.dtype()),
            max_tokens: None,
            quantisation: None,
            remade_bytes: 0,
            unused_weights: Vec::new(),
            non_finite_weights: Vec::new(),
            warnings: Vec::new(),
        };
        Self { info, parameters, inputs: Vec::new(), forward }
    }

    /// The same, which tells what inputs it takes.
    #[must_use]
    pub fn with_inputs(self, inputs: Vec<InputSpec>) -> Self {
        Self { inputs, ..self }
    }
}

impl<F> Model for ClosureModel<F>
where
    F: Fn(&NamedTensors) -> Result<NamedTensors, BoxError> + Send,
{
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.parameters.clone()
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        None
    }

    fn inputs(&self) -> Vec<InputSpec> {
        self.inputs.clone()
    }

    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        (self.forward)(inputs).map_err(|error| ModelError::Torch(TorchError::new(error.to_string())))
    }
}
