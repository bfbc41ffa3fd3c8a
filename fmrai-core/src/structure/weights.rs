//! Plain weights, told from activations.

use crate::graph::{Graph, Operation, Origin, TensorId};

use super::operator::{Effect, effect};

/// For each tensor, whether it is a plain weight.
pub(super) struct PlainWeights(Vec<bool>);

impl PlainWeights {
    /// One pass over the graph.
    pub(super) fn of(graph: &dyn Graph) -> Self {
        let leaf = |origin| matches!(origin, Origin::Parameter | Origin::Constant);
        let mut plain = Self(graph.tensors().iter().map(|t| leaf(t.origin)).collect());
        for operation in graph.operations() {
            if operation.inputs().all(|id| plain.contains(id)) && keeps(operation) {
                for id in &operation.outputs {
                    if let Some(entry) = plain.0.get_mut(id.0 as usize) {
                        *entry = true;
                    }
                }
            }
        }
        plain
    }

    /// True for a plain weight.
    pub(super) fn contains(&self, id: TensorId) -> bool {
        self.0.get(id.0 as usize).copied().unwrap_or(false)
    }
}

/// True if the operation makes weights of weights. What is made of nothing (`arange`, `zeros`) is one too.
fn keeps(operation: &Operation) -> bool {
    match effect(operation) {
        Effect::Reshape
        | Effect::Permute
        | Effect::Broadcast
        | Effect::Part
        | Effect::Same
        | Effect::Pointwise
        | Effect::Join
        | Effect::WeightMath
        | Effect::Wave => true,
        Effect::Other => operation.inputs().next().is_none(),
        _ => false,
    }
}
