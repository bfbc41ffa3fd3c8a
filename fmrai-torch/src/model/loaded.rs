//! What a loaded model can do.

use std::sync::Arc;

use fmrai_core::graph::RecordedGraph;

use super::causal::CausalModel;
use super::error::ModelError;
use super::info::ModelInfo;
use super::input::InputSpec;
use super::named_tensors::NamedTensors;
use super::remade::RemadeWeights;
use super::state::{ModelState, NoState};
use crate::ffi::tensor::Tensor;
use crate::text::Tokenizer;

/// A loaded model, in evaluation mode. It may go to another thread, and runs on one at a time.
pub trait Model: Send {
    /// What is known of it.
    fn info(&self) -> &ModelInfo;

    /// Its weights and buffers by name, sharing memory with the model; sorted by name.
    fn parameters(&self) -> Vec<(String, Tensor)>;

    /// The values of those of its [`parameters`](Self::parameters) that are not in memory all the time; `None` if all are.
    fn remade_weights(&self) -> Option<Arc<dyn RemadeWeights>> {
        None
    }

    /// Its tokenizer, if it reads text.
    fn tokenizer(&self) -> Option<&Tokenizer>;

    /// The inputs it takes, in its own order.
    fn inputs(&self) -> Vec<InputSpec>;

    /// What the values that it gives back are called inside of it, in their order: name of the output, name of the value.
    fn output_values(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Its graph, where that is known before anything has run: the ids are those of a recorded pass.
    ///
    /// # Errors
    /// [`ModelError::File`] if the model's path through its operations depends on its input.
    fn graph(&self) -> Option<Result<Arc<RecordedGraph>, ModelError>> {
        None
    }

    /// What a pass may change of it other than by writing into memory, as it is now: attributes that are given other tensors,
    /// lists that grow. A [`Footprint`](super::Footprint) sees what is written into memory by itself. The default says that there is nothing else.
    ///
    /// # Errors
    /// [`ModelError`] with what libtorch reports.
    fn state(&self) -> Result<Box<dyn ModelState + '_>, ModelError> {
        Ok(Box::new(NoState))
    }

    /// The model as one that continues texts, if it is one.
    fn causal(&self) -> Option<&dyn CausalModel> {
        None
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`ModelError::Inputs`] for missing or misshapen inputs, [`ModelError::Torch`] for what libtorch reports.
    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError>;
}

const _: Option<&dyn Model> = None; // stays object-safe
