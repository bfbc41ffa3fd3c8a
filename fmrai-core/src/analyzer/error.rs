//! What ends an analysis.

use super::state::StateError;
use crate::graph::TensorId;
use crate::tensor::TensorError;

/// Why an analysis failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalyzerError {
    /// The model does not have what the method looks at.
    #[error("this model has {found}, the analysis needs {needed}")]
    Unsuitable {
        /// What there is.
        found: String,
        /// What there should be.
        needed: String,
    },
    /// The data are not what the method is about.
    #[error("the data have {found}, the analysis needs {needed}")]
    UnsuitableData {
        /// What there is.
        found: String,
        /// What there should be.
        needed: String,
    },
    /// A tensor was read that was not asked for in `prepare`.
    #[error("tensor {0} was not captured: ask for it in `prepare`")]
    NotCaptured(TensorId),
    /// A captured tensor has another form than expected.
    #[error("tensor {tensor}: {source}")]
    Tensor {
        /// The tensor.
        tensor: TensorId,
        /// What is wrong with it.
        source: TensorError,
    },
    /// A captured tensor holds NaN or infinity.
    #[error("{what} hold {count} NaN or infinite numbers in sample {sample}")]
    NotFinite {
        /// What was read, e.g. `attention probabilities of layer 3`.
        what: String,
        /// How many of its elements are not finite.
        count: usize,
        /// The sample in which they were found.
        sample: u64,
    },
    /// A state does not belong here.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nothing can be concluded yet.
    #[error("{found}, the analysis needs {needed}")]
    NotEnoughData {
        /// What there is.
        found: String,
        /// What would be enough.
        needed: String,
    },
    /// An error that has no kind of its own; the way out for third-party analyzers.
    #[error("{0}")]
    Other(String),
    /// It panicked: a loaded analyzer, whose panic arrives as a message. It is not used any more.
    #[error("{0}")]
    Panicked(String),
}
