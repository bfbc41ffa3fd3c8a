//! The operations from a stream to the logits.

use fmrai_core::graph::TensorId;

use super::action::{Action, Rounding};
use super::constants::Constant;

/// The operations from a tensor to the logits, in execution order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Program {
    /// What it is given, `[row, channel]`.
    pub(super) start: TensorId,
    /// What it gives, `[row, token]`.
    pub(super) end: TensorId,
    /// Tensors that do not depend on what is read, in the order they are made.
    pub(super) constants: Vec<Constant>,
    pub(super) steps: Vec<Step>,
}

/// One operation on rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// Without namespace and overload; empty where it only changes the form of a tensor.
    pub(super) name: String,
    pub(super) action: Action,
    pub(super) output: TensorId,
    pub(super) rounding: Rounding,
}
