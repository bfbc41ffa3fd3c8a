//! A loaded program as a [`Model`].

use std::sync::Arc;

use fmrai_core::graph::RecordedGraph;

use super::inputs::{self, UserInput};
use super::program::{Block, Operand, ProgramOutput};
use super::run;
use crate::ffi::call::{Frame, Held, Slot, copy_unseen, exchange, number_tensor};
use crate::ffi::tensor::Tensor;
use crate::model::{InputSpec, Model, ModelError, ModelInfo, ModelState, NamedTensors};
use crate::text::Tokenizer;

/// A loaded program.
pub(super) struct ProgramModel {
    pub(super) info: ModelInfo,
    pub(super) tokenizer: Option<Tokenizer>,
    pub(super) block: Block,
    pub(super) slots: usize,
    pub(super) weights: Vec<Weight>,
    pub(super) inputs: Vec<UserInput>,
    pub(super) outputs: Vec<ProgramOutput>,
    /// Results that a decomposed program gives back as new values of its buffers: value and position in `weights`.
    pub(super) mutations: Vec<(Operand, usize)>,
    pub(super) graph: Result<Arc<RecordedGraph>, String>,
    pub(super) keep_state: bool,
}

/// A parameter, buffer or constant.
pub(super) struct Weight {
    pub(super) name: String,
    pub(super) slot: Slot,
    pub(super) tensor: Tensor,
    /// Its elements in the archive, if the program writes into it.
    pub(super) original: Option<Tensor>,
}

impl ProgramModel {
    fn internal(&self, what: String) -> ModelError {
        ModelError::File { path: self.info.path.clone(), what }
    }

    /// A frame with the weights and inputs in it.
    fn frame(&self, inputs: &NamedTensors) -> Result<Frame, ModelError> {
        let mut frame = Frame::new(self.slots).map_err(|e| self.internal(e))?;
        for weight in &self.weights {
            frame.set_tensor(weight.slot, &weight.tensor).map_err(|e| self.internal(e))?;
        }
        for input in &self.inputs {
            let value = input.value(inputs)?;
            frame.set(input.slot, &value).map_err(|e| self.internal(e))?;
        }
        Ok(frame)
    }

    fn results(&self, frame: &Frame, copies: &[(Tensor, Tensor)]) -> Result<NamedTensors, String> {
        let mut named = Vec::new();
        for ProgramOutput { name, operand, .. } in &self.outputs {
            let held = match operand {
                Operand::Slot(slot) => frame.get(*slot)?,
                Operand::Number(number) => run::held(*number),
                Operand::None => Held::Nothing,
            };
            let tensor = match held {
                Held::Tensor(tensor) if tensor.is_defined() => tensor,
                Held::Nothing | Held::Other | Held::Tensor(_) => continue,
                number => number_tensor(&number)?,
            };
            // What is both a result and a tensor that is put back as it was must not go back with it.
            let start = tensor.address();
            let same = |other: &Tensor| start.is_some() && other.address() == start;
            let written = copies.iter().any(|(input, _)| same(input))
                || self.weights.iter().any(|weight| weight.original.is_some() && same(&weight.tensor));
            let tensor = if written { copy_unseen(&tensor)? } else { tensor };
            named.push((name.clone(), tensor));
        }
        Ok(NamedTensors(named))
    }

    /// New values of buffers, where the program gives them back instead of writing them.
    fn store(&self, frame: &Frame) -> Result<(), String> {
        for (operand, position) in &self.mutations {
            if let (Operand::Slot(slot), Some(weight)) = (operand, self.weights.get(*position))
                && let Held::Tensor(value) = frame.get(*slot)?
            {
                exchange(&weight.tensor, &copy_unseen(&value)?)?;
            }
        }
        Ok(())
    }

    /// Everything that the program wrote as it was before; what was kept of the written memory stays as it is.
    fn restore(&self, inputs: &[(Tensor, Tensor)]) -> Result<(), String> {
        for (tensor, copy) in inputs {
            exchange(tensor, copy)?;
        }
        if self.keep_state {
            return Ok(());
        }
        for weight in &self.weights {
            if let Some(original) = &weight.original {
                exchange(&weight.tensor, &copy_unseen(original)?)?;
            }
        }
        Ok(())
    }
}

/// The buffers of a program that keeps them, as they were.
struct KeptBuffers<'p> {
    program: &'p ProgramModel,
    buffers: Vec<(&'p Tensor, Tensor)>,
}

impl ModelState for KeptBuffers<'_> {
    fn put_back(&self) -> Result<(), ModelError> {
        let back = |(buffer, copy): &(&Tensor, Tensor)| exchange(buffer, &copy_unseen(copy)?);
        self.buffers.iter().try_for_each(back).map_err(|e| self.program.internal(e))
    }

    fn is_current(&self) -> Result<bool, ModelError> {
        let same =
            |(buffer, copy): &(&Tensor, Tensor)| Ok(buffer.size() == copy.size() && buffer.equal(copy)?);
        self.buffers.iter().map(same).try_fold(true, |all, same: Result<bool, ModelError>| Ok(all && same?))
    }
}

impl Model for ProgramModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.weights.iter().map(|weight| (weight.name.clone(), weight.tensor.clone())).collect()
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        self.tokenizer.as_ref()
    }

    fn inputs(&self) -> Vec<InputSpec> {
        inputs::specs(&self.inputs)
    }

    fn output_values(&self) -> Vec<(String, String)> {
        let value = |output: &ProgramOutput| Some((output.name.clone(), output.value.clone()?));
        self.outputs.iter().filter_map(value).collect()
    }

    fn graph(&self) -> Option<Result<Arc<RecordedGraph>, ModelError>> {
        Some(match &self.graph {
            Ok(graph) => Ok(Arc::clone(graph)),
            Err(what) => Err(self.internal(format!("its graph is known only once it runs: {what}"))),
        })
    }

    fn state(&self) -> Result<Box<dyn ModelState + '_>, ModelError> {
        let written = self.weights.iter().filter(|weight| self.keep_state && weight.original.is_some());
        let copy = |weight: &'_ Weight| copy_unseen(&weight.tensor).map_err(|e| self.internal(e));
        let copies = written.clone().map(copy).collect::<Result<Vec<_>, _>>()?;
        Ok(Box::new(KeptBuffers { program: self, buffers: written.map(|w| &w.tensor).zip(copies).collect() }))
    }

    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        inputs::check(&self.inputs, inputs)?;
        let mut frame = self.frame(inputs)?;
        let mut copies = Vec::new();
        for input in self.inputs.iter().filter(|input| input.written) {
            if let Some(tensor) = inputs.get(&input.spec.name) {
                copies.push((tensor.clone(), copy_unseen(tensor).map_err(|e| self.internal(e))?));
            }
        }
        let ran = run::run(&self.block, &mut frame).map_err(|error| ModelError::Node {
            path: self.info.path.clone(),
            node: error.node,
            what: error.what,
        });
        let results = ran.and_then(|()| {
            if self.keep_state {
                self.store(&frame).map_err(|e| self.internal(e))?;
            }
            self.results(&frame, &copies).map_err(|e| self.internal(e))
        });
        self.restore(&copies).map_err(|e| self.internal(e))?;
        results
    }
}
