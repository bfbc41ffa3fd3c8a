//! The linear maps that make queries, keys and values of what an attention block reads.

mod find;
mod step;
#[cfg(test)]
mod tests;

pub use find::input_projections;

use crate::graph::{OperationId, TensorId};

/// The linear maps of an attention block; `None` for one that was not found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputProjections {
    /// `W_Q`.
    pub query: Option<HeadProjection>,
    /// `W_K`, repeated for the query heads that share it.
    pub key: Option<HeadProjection>,
    /// `W_V`, repeated for the query heads that share it.
    pub value: Option<HeadProjection>,
}

/// The linear map that makes the queries, keys or values of all heads. One weight may make all three, and heads may lie in it
/// in any order.
///
/// Norms of single heads, rotations by position, scales and biases that come after it are no part of it. Of a rotation, the channels are
/// those of position 0, where it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadProjection {
    /// The linear map.
    pub operation: OperationId,
    /// What it takes, `[..., channel]`.
    pub input: TensorId,
    /// The parameter, before any view of it.
    pub weight: TensorId,
    /// The axis of `weight` along which the results lie: 0 of a linear layer (`[out, in]`), 1 of a `Conv1D` (`[in, out]`).
    pub axis: usize,
    /// First entry of the other axis that is used.
    pub start: usize,
    /// Channels that it takes.
    pub size: usize,
    /// For each query head of the block, the entries along `axis` that are its channels, in their order.
    pub channels: Vec<Vec<usize>>,
}
