//! Linear maps by a weight, in all spellings, and where the axes of their weights are in the parameter.

mod find;

pub(super) use find::{find_projections, start_of_part};

use crate::graph::{OperationId, TensorId};

/// A linear map of an activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Projection {
    pub(super) operation: OperationId,
    pub(super) input: TensorId,
    pub(super) output: TensorId,
    pub(super) weight: LinearWeight,
}

/// A parameter seen as the matrix of a linear map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinearWeight {
    /// The parameter, before any view of it.
    pub(super) parameter: TensorId,
    /// The axis that is summed over.
    pub(super) input: Place,
    /// The axis of the results.
    pub(super) output: Place,
    /// The axis of the experts, where there are some.
    pub(super) experts: Option<usize>,
    /// Groups of channels that are mapped apart; `input` counts the channels of all of them.
    pub(super) groups: usize,
    /// Operations between the parameter and the product.
    pub(super) views: Vec<OperationId>,
}

/// An axis of a parameter, and where the part that is used starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) axis: usize,
    pub(super) start: usize,
    pub(super) size: usize,
}
