//! What a model computed: every operation of one forward pass and the tensors between them.
//!
//! Ids are ordinals in the order of first appearance, so the same program gives the same ids on every run.

mod data_flow;
mod dot;
mod fingerprint;
mod json;
mod node;
mod recorded;
mod summary;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use data_flow::{DataFlow, Node};
pub use dot::{DotOptions, to_dot};
pub use fingerprint::{Fingerprint, fingerprint};
pub use json::{from_json, to_json};
pub use node::{Argument, GraphOutput, Operation, OperationId, Origin, TensorId, TensorNode, Value};
pub use recorded::RecordedGraph;
pub use summary::{Summary, SummaryError, summary};

/// Read-only view of a computation graph; two required collections and one index.
///
/// Operations stand in the order they ran, which is a topological order. Implemented by the recorded graph of
/// a run, and by any program whose graph is known before it runs.
pub trait Graph: Send + Sync {
    /// All operations, in execution order; position = [`OperationId`].
    fn operations(&self) -> &[Operation];

    /// All tensors, in order of first appearance; position = [`TensorId`].
    fn tensors(&self) -> &[TensorNode];

    /// Operations that take `tensor` as an argument, in execution order, each once. Empty for an unknown id.
    fn users(&self, tensor: TensorId) -> &[OperationId];

    /// What the model gives back, in its order, as far as it is known.
    fn outputs(&self) -> &[GraphOutput] {
        &[]
    }

    /// One operation, or `None` for an unknown id.
    fn operation(&self, id: OperationId) -> Option<&Operation> {
        self.operations().get(id.0 as usize)
    }

    /// One tensor, or `None` for an unknown id.
    fn tensor(&self, id: TensorId) -> Option<&TensorNode> {
        self.tensors().get(id.0 as usize)
    }

    /// The operation that made `tensor`, or `None` for inputs, parameters and constants.
    fn producer(&self, tensor: TensorId) -> Option<&Operation> {
        match self.tensor(tensor)?.origin {
            Origin::Operation { operation, .. } => self.operation(operation),
            _ => None,
        }
    }
}

const _: Option<&dyn Graph> = None; // stays object-safe

/// What is wrong with a graph that was read or built.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The text is not the JSON of a graph.
    #[error("not a graph file: {0}")]
    Json(#[from] serde_json::Error),
    /// The file was written by a newer version.
    #[error("graph format {found}, this version reads format {supported}")]
    Format {
        /// The version in the file.
        found: u32,
        /// The version this program writes.
        supported: u32,
    },
    /// An id points nowhere, or not where it says.
    #[error("{place}: {what}")]
    Broken {
        /// The operation or tensor at fault.
        place: String,
        /// What is wrong with it.
        what: String,
    },
}
