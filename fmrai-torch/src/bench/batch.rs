//! The batch of a bench, and how many rows a pass may have.

use fmrai_core::graph::{Graph, Origin, TensorNode};

use crate::capture::DispatchTracker;
use crate::model::NamedTensors;

/// The batch that a bench runs variants of.
#[derive(Clone, Copy)]
pub struct BenchInputs<'b> {
    /// What the model takes, its rows along axis 0.
    pub inputs: &'b NamedTensors,
    /// Names of the inputs that are given whole: their axis 0 does not run over the rows.
    pub whole: &'b [String],
    /// Rows that count; those after them fill up.
    pub rows: usize,
}

/// The rows of the recorded pass, if it was on inputs of the same sizes as these but for their number.
pub(super) fn recorded_rows(tracker: &DispatchTracker, batch: &BenchInputs<'_>) -> Option<usize> {
    let graph = tracker.graph()?;
    let mut rows = None;
    for (name, tensor) in &batch.inputs.0 {
        let of_name = |node: &&TensorNode| {
            matches!(node.origin, Origin::Input) && node.name.as_deref() == Some(name.as_str())
        };
        // What the model does not use is in no graph.
        let Some(node) = graph.tensors().iter().find(of_name) else { continue };
        let (found, recorded) = (tensor.size(), &node.shape);
        let whole = batch.whole.contains(name);
        let from = usize::from(!whole);
        if found.len() != recorded.len() || found.iter().skip(from).ne(recorded.iter().skip(from)) {
            return None;
        }
        if !whole {
            rows = recorded.first().and_then(|rows| usize::try_from(*rows).ok());
        }
    }
    rows
}
