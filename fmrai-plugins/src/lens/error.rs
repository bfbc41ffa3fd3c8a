//! Why streams cannot be read.

use fmrai_core::graph::TensorId;

/// Why streams of a model cannot be read in its vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LensError {
    /// There is no linear map to a vocabulary.
    #[error("the model has no map to a vocabulary")]
    NoMap,
    /// There is no table to use in its place.
    #[error("the model has no token embedding whose table could be used as a map to the vocabulary")]
    NoTable,
    /// The map does not read a residual stream that was found.
    #[error("the map to the vocabulary reads no residual stream that was found")]
    NoStream,
    /// It reads several.
    #[error("the map to the vocabulary reads more than the last residual stream: {first} and {second}")]
    SeveralStreams {
        /// One of them.
        first: TensorId,
        /// Another one.
        second: TensorId,
    },
    /// Something between the last stream and the logits is not understood.
    #[error("between the last residual stream and the logits, {operation} is not understood: {what}")]
    NotUnderstood {
        /// Name of the operation and, where known, its module.
        operation: String,
        /// What about it.
        what: String,
    },
    /// Something is no sum of what goes into it, even where the statistics of norms are kept.
    #[error("{operation} is not linear, so what it gives is no sum of parts")]
    NotLinear {
        /// The operation, without namespace and overload.
        operation: String,
    },
    /// The weights are not at hand.
    #[error("the model's weights are not at hand, only activations")]
    NoWeights,
    /// A weight cannot be read.
    #[error("{0}")]
    Weight(String),
    /// The vectors have another width than the stream.
    #[error("the vectors have {found} channels, the stream has {needed}")]
    Channels {
        /// Their width.
        found: usize,
        /// That of the stream.
        needed: usize,
    },
}
