//! Where something can act in a pass.

use std::fmt;

use crate::graph::{OperationId, TensorId};

/// Where something can act in a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A result of an operation, before anything else uses it. Of fused attention that is its context, or its probabilities
    /// `[batch, head, query, key]` after softmax and dropout. What an operation has written in place is given the elements; if the
    /// operation saved it for gradients, these cannot be computed then.
    Tensor(TensorId),
    /// Scores of fused attention `[batch, head, query, key]`: scaled, masked (minus infinity where a query does not see a key), before
    /// the softmax. They and the probabilities are float32 where the model computes in 16 bits.
    Scores(OperationId),
}

/// `tensor #12`, `the scores of operation 7`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor(id) => write!(f, "tensor {id}"),
            Self::Scores(operation) => write!(f, "the scores of operation {}", operation.0),
        }
    }
}
