//! Where the axes of each tensor come from: channels of a linear map, rows and columns of a product of two activations, the
//! axis of a softmax, or anything else.
//!
//! An axis is followed from where it begins through views, permutations, arithmetic and joins, whatever its place is. So
//! scores are known for scores in any layout, heads are told from windows and from the batch (heads are split off the
//! channels of a linear map), and heads that are repeated from those that are not.

mod axis;
mod follow;
mod transfer;

use std::collections::BTreeMap;

use crate::graph::{Graph, OperationId, TensorId};

use super::weights::PlainWeights;

pub(super) use axis::{Axis, Label, total};

/// What is known of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lineage {
    /// Its axes.
    pub(super) axes: Vec<Axis>,
    /// Operations since the nearest product of two activations that one of the axes is of.
    distance: u16,
}

/// Values weighed by probabilities, and the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WeighedSum {
    /// The tensor of probabilities, as it goes into the product.
    pub(super) probabilities: TensorId,
    /// The other factor.
    pub(super) values: TensorId,
    /// The result.
    pub(super) sum: TensorId,
    /// The product.
    pub(super) operation: OperationId,
}

/// The axes of all tensors of a graph.
pub(super) struct Lines {
    tensors: Vec<Option<Lineage>>,
    /// The first product that sums over the axis of a softmax, for each operation that makes probabilities.
    sums: BTreeMap<OperationId, WeighedSum>,
    /// Sums and differences of the probabilities of several softmaxes, with the first of these.
    mixtures: BTreeMap<OperationId, OperationId>,
    /// What is divided by its own sum along an axis, written out in several operations: the last of them, with the axis.
    softmaxes: BTreeMap<OperationId, (TensorId, usize)>,
}

impl Lines {
    /// One pass over the graph.
    pub(super) fn of(graph: &dyn Graph, weights: &PlainWeights) -> Self {
        follow::follow(graph, weights)
    }

    /// The axes of a tensor; empty where nothing is known.
    pub(super) fn axes(&self, id: TensorId) -> &[Axis] {
        self.get(id).map_or(&[], |lineage| lineage.axes.as_slice())
    }

    fn get(&self, id: TensorId) -> Option<&Lineage> {
        self.tensors.get(id.0 as usize)?.as_ref()
    }

    /// The product of two activations that an axis is a row (`false`) or a column (`true`) of.
    pub(super) fn product(&self, id: TensorId, axis: usize) -> Option<(OperationId, bool)> {
        axis::whole(self.axes(id), axis)?.product()
    }

    /// The first product that sums values with the probabilities that `operation` makes.
    pub(super) fn weighed_sum(&self, operation: OperationId) -> Option<WeighedSum> {
        self.sums.get(&operation).copied()
    }

    /// The softmax of the first operand, for an operation that adds or subtracts the probabilities of several.
    pub(super) fn first_of(&self, mixture: OperationId) -> Option<OperationId> {
        self.mixtures.get(&mixture).copied()
    }

    /// The scores and the axis of a softmax, fused or written out, that ends with `operation`.
    pub(super) fn softmax(&self, operation: OperationId) -> Option<(TensorId, usize)> {
        self.softmaxes.get(&operation).copied()
    }
}
