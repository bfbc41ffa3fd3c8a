//! The axes of every tensor, and the inputs that it was computed from.

use std::collections::BTreeSet;

use crate::graph::{Graph, Origin, TensorId};

use super::labels::{Axis, Factor, Sequences};

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
    /// Those of the model's inputs.
    pub(super) fn of_inputs(graph: &dyn Graph) -> Self {
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
                vec![Factor { size, place }]
            });
            axes.tensors[i] = Some(known.collect());
        }
        axes
    }

    pub(super) fn of_tensor(&self, id: TensorId) -> Option<&Vec<Axis>> {
        self.tensors.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn sources(&self, id: TensorId) -> BTreeSet<TensorId> {
        let bits = self.sources.get(id.0 as usize).copied().unwrap_or(0);
        self.inputs.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, id)| *id).collect()
    }

    /// A bit for each input that went into one of these.
    pub(super) fn sources_of(&self, ids: impl Iterator<Item = TensorId>) -> u64 {
        ids.filter_map(|id| self.sources.get(id.0 as usize)).fold(0, |all, bits| all | bits)
    }

    /// Takes in what went into a tensor, and its axes where they are known.
    pub(super) fn learn(&mut self, id: TensorId, sources: u64, axes: Option<&Vec<Axis>>) {
        let place = id.0 as usize;
        if let Some(entry) = self.sources.get_mut(place) {
            *entry |= sources;
        }
        if let (Some(axes), Some(entry)) = (axes, self.tensors.get_mut(place)) {
            *entry = Some(axes.clone());
        }
    }
}
