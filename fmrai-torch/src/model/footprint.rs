//! What passes leave behind in a model, and taking it back.

use super::error::ModelError;
use super::loaded::Model;
use super::named_tensors::NamedTensors;
use super::state::ModelState;
use crate::ffi::tensor::Tensor;
use crate::ffi::undo::Undo;

/// What one pass has left behind: memory of inputs, weights, buffers and attributes that it wrote, references that it
/// assigned, and random numbers that it drew from the generators of libtorch.
///
/// Passes that serve another purpose than their result (recording a graph, comparing with the untouched model) take back what
/// they leave, so that the first pass that counts is the first one:
///
/// ```
/// use fmrai_torch::model::{Footprint, Model, ModelError, NamedTensors};
///
/// fn look(model: &dyn Model, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
///     let (outputs, mut left) = Footprint::of(model, || model.forward(inputs))?;
///     let outputs = left.keep(outputs?)?; // also where they share memory with the model's state
///     left.take_back()?;
///     Ok(outputs)
/// }
/// ```
pub struct Footprint<'m> {
    model: &'m dyn Model,
    before: Box<dyn ModelState + 'm>,
    after: Option<Box<dyn ModelState + 'm>>,
    written: Undo,
}

fn refused(what: String) -> ModelError {
    ModelError::State { what }
}

impl<'m> Footprint<'m> {
    /// Runs `pass`, which runs `model`, on this thread.
    ///
    /// # Errors
    /// [`ModelError::State`] if what the pass leaves cannot be told; errors of the pass itself are in its result.
    pub fn of<T>(model: &'m dyn Model, pass: impl FnOnce() -> T) -> Result<(T, Self), ModelError> {
        let before = model.state()?;
        let (out, written) = Undo::of(pass).map_err(refused)?;
        Ok((out, Self { model, before, after: None, written }))
    }

    /// Makes everything as it was before the pass.
    ///
    /// # Errors
    /// [`ModelError::State`] with what libtorch reports.
    pub fn take_back(&mut self) -> Result<(), ModelError> {
        if self.after.is_none() {
            self.after = Some(self.model.state()?);
            self.written.exchange().map_err(refused)?;
        }
        self.before.put_back()
    }

    /// Makes everything as the pass had left it, after [`take_back`](Self::take_back).
    ///
    /// # Errors
    /// [`ModelError::State`] with what libtorch reports.
    pub fn bring_back(&mut self) -> Result<(), ModelError> {
        let Some(after) = self.after.take() else { return Ok(()) };
        self.written.exchange().map_err(refused)?;
        after.put_back()
    }

    /// True if the pass wrote memory of `tensor`.
    #[must_use]
    pub fn wrote(&self, tensor: &Tensor) -> bool {
        self.written.wrote(tensor)
    }

    /// True if the model, or its random numbers, are others now than before the pass, so that a later pass may give
    /// another result. What it left in `inputs` does not count: they are given anew.
    ///
    /// # Errors
    /// [`ModelError::State`] with what libtorch reports.
    pub fn lasts(&self, inputs: &NamedTensors) -> Result<bool, ModelError> {
        let inputs: Vec<&Tensor> = inputs.0.iter().map(|(_, tensor)| tensor).collect();
        Ok(!self.before.is_current()? || self.written.lasts(&inputs).map_err(refused)?)
    }

    /// The outputs of the pass, in memory that [`take_back`](Self::take_back) does not reach.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if there is no memory for a copy.
    pub fn keep(&self, outputs: NamedTensors) -> Result<NamedTensors, ModelError> {
        let own = |(name, tensor): (String, Tensor)| {
            let tensor = if self.wrote(&tensor) { tensor.detached_copy()? } else { tensor };
            Ok((name, tensor))
        };
        outputs.0.into_iter().map(own).collect::<Result<_, _>>().map(NamedTensors)
    }
}
