//! The axes of every tensor, and the inputs that it was computed from.

use std::collections::BTreeSet;

use crate::graph::{Graph, Operation, Origin, TensorId};

use super::labels::{Axis, Sequences, is_known};
use super::transfer;

/// Inputs that are told apart; further ones are not followed.
const INPUTS: usize = 64;

/// What is known of each tensor.
pub(super) struct Axes {
    pub(super) sequences: Sequences,
    /// `None` where nothing is known.
    tensors: Vec<Option<Vec<Axis>>>,
    /// A bit for each input that went into it.
    sources: Vec<u64>,
    inputs: Vec<TensorId>,
}

impl Axes {
    pub(super) fn of(graph: &dyn Graph) -> Self {
        let count = graph.tensors().len();
        let mut axes = Self {
            sequences: Sequences::default(),
            tensors: vec![None; count],
            sources: vec![0; count],
            inputs: Vec::new(),
        };
        for (i, node) in graph.tensors().iter().enumerate() {
            if node.origin != Origin::Input || axes.inputs.len() >= INPUTS {
                continue;
            }
            axes.sources[i] = 1 << axes.inputs.len();
            axes.inputs.push(node.id);
            let named = node.shape.iter().enumerate();
            let known = named.map(|(axis, &size)| {
                // What an input has as its only axis is no batch.
                let axis = if node.shape.len() == 1 { 1 } else { axis };
                let place = (size > 1).then(|| axes.sequences.add(size, Some((node.id.0, axis))));
                vec![super::labels::Factor { size, place }]
            });
            axes.tensors[i] = Some(known.collect());
        }
        for operation in graph.operations() {
            axes.step(graph, operation);
        }
        axes
    }

    fn step(&mut self, graph: &dyn Graph, operation: &Operation) {
        if super::super::facts::makes_anew(operation) {
            return;
        }
        let sources =
            operation.inputs().filter_map(|id| self.sources.get(id.0 as usize)).fold(0, |all, s| all | s);
        let known = operation.inputs().any(|id| self.of_tensor(id).is_some());
        let made = if known { transfer::of(graph, operation, self) } else { Vec::new() };
        for (i, output) in operation.outputs.iter().enumerate() {
            if let Some(entry) = self.sources.get_mut(output.0 as usize) {
                *entry |= sources;
            }
            let shape = graph.tensor(*output).map_or(&[][..], |t| &t.shape);
            let axes = made.get(i).filter(|axes| {
                let sizes = axes.iter().map(|axis| axis.iter().fold(1_i64, |n, f| n.saturating_mul(f.size)));
                sizes.eq(shape.iter().copied()) && is_known(axes)
            });
            if let (Some(axes), Some(entry)) = (axes, self.tensors.get_mut(output.0 as usize)) {
                *entry = Some(axes.clone());
            }
        }
    }

    pub(super) fn of_tensor(&self, id: TensorId) -> Option<&Vec<Axis>> {
        self.tensors.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn sources(&self, id: TensorId) -> BTreeSet<TensorId> {
        let bits = self.sources.get(id.0 as usize).copied().unwrap_or(0);
        self.inputs.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, id)| *id).collect()
    }
}
