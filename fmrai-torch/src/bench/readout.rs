//! The logits of the positions that count, without those of all others.

use std::collections::{BTreeMap, BTreeSet};

use fmrai_core::experiment::Place;
use fmrai_core::graph::{Graph, Operation, RecordedGraph, TensorId, Value};

use crate::error::TorchError;
use crate::ffi::tensor::Tensor;
use crate::operation::{Argument, call};

/// The last operations before the logits, as far as they treat each position by itself: linear maps and what is done element by element.
/// They are done again for the positions that count alone.
#[derive(Debug, Clone)]
pub(super) struct Readout {
    /// What is read in the pass: the logits, or what the last operations make them of; `[row, position, channel]`.
    pub(super) read: TensorId,
    /// The operations from there on; none where the logits are read.
    steps: Vec<Operation>,
    /// What else they take, that does not depend on the input: tensors to be kept of the clean pass.
    pub(super) constants: Vec<TensorId>,
}

impl Readout {
    /// The logits as they are.
    pub(super) fn plain(logits: TensorId) -> Self {
        Self { read: logits, steps: Vec::new(), constants: Vec::new() }
    }

    /// True if what is done again here is what makes one of these places.
    pub(super) fn makes(&self, places: &BTreeSet<Place>) -> bool {
        let mut made = self.steps.iter().flat_map(|operation| &operation.outputs);
        made.any(|id| places.contains(&Place::Tensor(*id)))
    }

    /// Goes back from the logits to before the map to the vocabulary, if that is possible.
    pub(super) fn of(graph: &RecordedGraph, logits: TensorId) -> Self {
        let fixed = fixed(graph);
        let mut at = logits;
        let mut steps = Vec::new();
        let mut constants = Vec::new();
        while let Some(operation) = graph.producer(at) {
            let Some((input, others)) = step(graph, operation, &fixed) else { break };
            if operation.outputs.len() != 1 {
                break;
            }
            steps.push(operation.clone());
            constants.extend(others);
            let mapped = is_map(operation);
            at = input;
            if mapped {
                steps.reverse();
                // What is another view of memory that was written is made by nothing, so nothing can be read there.
                let streams = graph
                    .tensor(at)
                    .is_some_and(|tensor| tensor.shape.len() == 3 && tensor.version_of.is_none());
                return if streams { Self { read: at, steps, constants } } else { Self::plain(logits) };
            }
        }
        Self::plain(logits)
    }

    /// The logits `[chosen, token]` of chosen positions of the pass, `[chosen, channel]` of what is read.
    pub(super) fn logits(
        &self,
        chosen: Tensor,
        constants: &BTreeMap<TensorId, Tensor>,
    ) -> Result<Tensor, TorchError> {
        let mut at = chosen;
        let mut from = self.read;
        for operation in &self.steps {
            let missing = || TorchError::new("a weight of the map to the vocabulary was not kept");
            let mut arguments = Vec::with_capacity(operation.arguments.len());
            for argument in &operation.arguments {
                arguments.push(match &argument.value {
                    Value::None => Argument::None,
                    Value::Tensor(id) if *id == from => Argument::Tensor(&at),
                    Value::Tensor(id) => Argument::Tensor(constants.get(id).ok_or_else(missing)?),
                    Value::Bool(value) => Argument::Bool(*value),
                    Value::Int(value) => Argument::Int(*value),
                    Value::Float(value) => Argument::Float(*value),
                    Value::Text(text) => Argument::Text(text),
                    _ => return Err(TorchError::new("the map to the vocabulary cannot be done again")),
                });
            }
            let made = call(&operation.name, &arguments)?;
            from = operation.outputs[0];
            at = made;
        }
        Ok(at)
    }
}

/// Tensors that do not depend on the input.
fn fixed(graph: &RecordedGraph) -> Vec<bool> {
    use fmrai_core::graph::Origin;
    let mut fixed: Vec<bool> = graph
        .tensors()
        .iter()
        .map(|tensor| matches!(tensor.origin, Origin::Parameter | Origin::Constant))
        .collect();
    for operation in graph.operations() {
        let all = operation.inputs().all(|id| fixed[id.0 as usize]);
        let some = operation.inputs().next().is_some();
        for output in &operation.outputs {
            fixed[output.0 as usize] = all && some && graph.tensors()[output.0 as usize].version_of.is_none();
        }
    }
    fixed
}

fn is_map(operation: &Operation) -> bool {
    matches!(operation.name.as_str(), "aten::linear" | "aten::matmul")
}

/// The one tensor that depends on the input and the others, if the operation treats each position by itself.
fn step(graph: &RecordedGraph, operation: &Operation, fixed: &[bool]) -> Option<(TensorId, Vec<TensorId>)> {
    let alone = matches!(
        operation.name.as_str(),
        "aten::linear"
            | "aten::matmul"
            | "aten::tanh"
            | "aten::neg"
            | "aten::mul.Tensor"
            | "aten::mul.Scalar"
            | "aten::div.Tensor"
            | "aten::div.Scalar"
            | "aten::add.Tensor"
            | "aten::add.Scalar"
            | "aten::sub.Tensor"
            | "aten::sub.Scalar"
    );
    if !alone {
        return None;
    }
    let plain = |value: &Value| {
        matches!(
            value,
            Value::None
                | Value::Tensor(_)
                | Value::Bool(_)
                | Value::Int(_)
                | Value::Float(_)
                | Value::Text(_)
        )
    };
    if !operation.arguments.iter().all(|argument| plain(&argument.value)) {
        return None;
    }
    let first = operation.arguments.first()?;
    let Value::Tensor(input) = first.value else { return None };
    if fixed[input.0 as usize] {
        return None;
    }
    let others: Vec<TensorId> = operation.inputs().filter(|id| *id != input).collect();
    let axes = |id: &TensorId| graph.tensor(*id).map_or(usize::MAX, |tensor| tensor.shape.len());
    let most = if is_map(operation) { 2 } else { 1 };
    let fits = others.iter().all(|id| fixed[id.0 as usize] && axes(id) <= most);
    fits.then_some((input, others))
}
