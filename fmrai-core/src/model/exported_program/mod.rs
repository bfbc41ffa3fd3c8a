//! Exported programs: `.pt2` archives of `torch.export.save`, run without Python.
//!
//! The archive is a zip file with the graph as JSON and the weights as raw bytes. Each node is one call of libtorch's
//! dispatcher, prepared once; arithmetic of sizes and higher-order operations run here. Supported are archives of torch 2.9 and
//! newer (schema 8), both as `torch.export.export` makes them and after `run_decompositions`. Pickles in an archive
//! are never read.

mod archive;
mod codes;
mod compile;
mod flow;
mod functionalized;
mod inputs;
mod load;
mod memory;
mod metadata;
mod names;
mod numbers;
mod program;
mod run;
mod schema;
mod scope;
mod simulate;
mod weights;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{
    InputSpec, LoadContext, Model, ModelError, ModelInfo, ModelSource, ModelState, NamedTensors, SourceEntry,
    address,
};
use crate::analyzer::schema_of;
use crate::capture::call::{Frame, Held, Slot, copy_unseen, exchange, number_tensor};
use crate::data::Tokenizer;
use crate::graph::RecordedGraph;
use inputs::UserInput;
use program::{Block, Operand};

const NAME: &str = "exported_program";

pub(super) const ENTRY: SourceEntry = SourceEntry {
    name: NAME,
    summary: "exported program: a .pt2 archive of torch.export.save, of any model",
    schema: schema_of::<ExportedProgram>,
};

/// A `.pt2` archive of `torch.export.save`.
///
/// Inputs and outputs have the names of the Python function: keyword or parameter names, nested ones with their path
/// (`past.0.1`); outputs without names are `output`, or `output.0`, `output.1`, ... Sizes that were fixed at export stay
/// fixed. Each run starts from the state of the archive, unless `keep_state` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportedProgram {
    /// The archive, relative to the plan.
    pub path: PathBuf,
    /// Folder of the tokenizer for texts, relative to the plan: tokenizer.json, vocab.txt, or vocab.json with merges.txt; by
    /// default that of the archive, if it has one.
    #[serde(default)]
    pub tokenizer: Option<PathBuf>,
    /// Inputs of the program that take a tensor of another name from the data, e.g. `{"decoder_input_ids": "input_ids"}`.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Which program of the archive, where it holds several.
    #[serde(default)]
    pub program: Option<String>,
    /// Whether buffers keep what a run writes into them, e.g. a key-value cache, for the next run. Results then depend
    /// on the order of the batches.
    #[serde(default)]
    pub keep_state: bool,
}

#[typetag::serde(name = "exported_program")]
impl ModelSource for ExportedProgram {
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        Ok(Box::new(load::load(self, context)?))
    }
}

/// A loaded program.
struct ProgramModel {
    info: ModelInfo,
    tokenizer: Option<Tokenizer>,
    block: Block,
    slots: usize,
    weights: Vec<Weight>,
    inputs: Vec<UserInput>,
    outputs: Vec<(String, Operand)>,
    /// Results that a decomposed program gives back as new values of its buffers: value and position in `weights`.
    mutations: Vec<(Operand, usize)>,
    graph: Result<Arc<RecordedGraph>, String>,
    keep_state: bool,
}

/// A parameter, buffer or constant.
struct Weight {
    name: String,
    slot: Slot,
    tensor: Tensor,
    /// Its elements in the archive, if the program writes into it.
    original: Option<Tensor>,
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
        for (name, operand) in &self.outputs {
            let held = match operand {
                Operand::Slot(slot) => frame.get(*slot)?,
                Operand::Number(number) => run::held(*number),
                Operand::None => Held::Nothing,
            };
            let tensor = match held {
                Held::Tensor(tensor) if tensor.defined() => tensor,
                Held::Nothing | Held::Other | Held::Tensor(_) => continue,
                number => number_tensor(&number)?,
            };
            // What is both a result and a tensor that is put back as it was must not go back with it.
            let start = address(&tensor);
            let same = |other: &Tensor| start.is_some() && address(other) == start;
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
            |(buffer, copy): &(&Tensor, Tensor)| Ok(buffer.size() == copy.size() && buffer.f_equal(copy)?);
        self.buffers.iter().map(same).try_fold(true, |all, same: Result<bool, ModelError>| Ok(all && same?))
    }
}

impl Model for ProgramModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.weights.iter().map(|weight| (weight.name.clone(), weight.tensor.shallow_clone())).collect()
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        self.tokenizer.as_ref()
    }

    fn inputs(&self) -> Vec<InputSpec> {
        inputs::specs(&self.inputs)
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
                copies.push((tensor.shallow_clone(), copy_unseen(tensor).map_err(|e| self.internal(e))?));
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
