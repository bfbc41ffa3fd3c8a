//! The linear map that takes the heads of an attention block side by side: its output projection.

mod find;
mod heads;

pub use find::output_projections;

use crate::graph::{OperationId, TensorId};

/// The output projection of an attention block: `[..., head · channel]` times `W_O`.
///
/// Head `h` of `n` has the channels `h · size / n` up to `(h + 1) · size / n` of what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputProjection {
    /// The linear map.
    pub operation: OperationId,
    /// What it takes: the heads side by side, `[batch, token, head · channel]` or with batch and tokens in one axis.
    pub input: TensorId,
    /// What it gives, with its bias where the operation adds one.
    pub output: TensorId,
    /// `W_O`, the parameter before any view of it.
    pub weight: TensorId,
    /// The axis of `weight` along which the channels of the heads lie: 1 of a linear layer (`[out, in]`), 0 of a `Conv1D`
    /// (`[in, out]`).
    pub axis: usize,
    /// First entry of that axis that belongs to the block.
    pub start: usize,
    /// Channels of all heads together.
    pub size: usize,
}
