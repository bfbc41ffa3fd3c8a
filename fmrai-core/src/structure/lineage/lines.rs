//! What is known of the axes of every tensor of a graph.

use std::collections::BTreeMap;

use crate::graph::{OperationId, TensorId};

use super::axis::{Axis, whole};

/// What is known of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::structure) struct Lineage {
    /// Its axes.
    pub(in crate::structure) axes: Vec<Axis>,
    /// Operations since the nearest product of two activations that one of the axes is of.
    pub(super) distance: u16,
}

/// Values weighed by probabilities, and the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::structure) struct WeighedSum {
    /// The tensor of probabilities, as it goes into the product.
    pub(in crate::structure) probabilities: TensorId,
    /// The other factor.
    pub(in crate::structure) values: TensorId,
    /// The result.
    pub(in crate::structure) sum: TensorId,
    /// The product.
    pub(in crate::structure) operation: OperationId,
}

/// The axes of all tensors of a graph.
pub(in crate::structure) struct Lines {
    pub(super) tensors: Vec<Option<Lineage>>,
    /// The first product that sums over the axis of a softmax, for each operation that makes probabilities.
    pub(super) sums: BTreeMap<OperationId, WeighedSum>,
    /// Sums and differences of the probabilities of several softmaxes, with the first of these.
    pub(super) mixtures: BTreeMap<OperationId, OperationId>,
    /// What is divided by its own sum along an axis, written out in several operations: the last of them, with the axis.
    pub(super) softmaxes: BTreeMap<OperationId, (TensorId, usize)>,
}

impl Lines {
    /// The axes of a tensor; empty where nothing is known.
    pub(in crate::structure) fn axes(&self, id: TensorId) -> &[Axis] {
        self.get(id).map_or(&[], |lineage| lineage.axes.as_slice())
    }

    pub(super) fn get(&self, id: TensorId) -> Option<&Lineage> {
        self.tensors.get(id.0 as usize)?.as_ref()
    }

    /// The product of two activations that an axis is a row (`false`) or a column (`true`) of.
    pub(in crate::structure) fn product(&self, id: TensorId, axis: usize) -> Option<(OperationId, bool)> {
        whole(self.axes(id), axis)?.product()
    }

    /// The first product that sums values with the probabilities that `operation` makes.
    pub(in crate::structure) fn weighed_sum(&self, operation: OperationId) -> Option<WeighedSum> {
        self.sums.get(&operation).copied()
    }

    /// The softmax of the first operand, for an operation that adds or subtracts the probabilities of several.
    pub(in crate::structure) fn first_of(&self, mixture: OperationId) -> Option<OperationId> {
        self.mixtures.get(&mixture).copied()
    }

    /// The scores and the axis of a softmax, fused or written out, that ends with `operation`.
    pub(in crate::structure) fn softmax(&self, operation: OperationId) -> Option<(TensorId, usize)> {
        self.softmaxes.get(&operation).copied()
    }
}
