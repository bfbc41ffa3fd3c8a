//! Analyzers: what they promise, how they are configured, how they are found.

mod config;
mod conversions;
pub mod prelude;
mod registry;
mod state;

pub use config::{AnalyzerConfig, ConfigError};
pub use registry::{AnalyzerEntry, DuplicateAnalyzer, Registry, schema_of};
pub use state::{State, StateError, StateNumber};

use std::sync::Arc;

use crate::batch::{Batch, Vocabulary};
use crate::graph::{Graph, TensorId};
use crate::report::{Report, Store};
use crate::structure::Structure;
use crate::tensor::{TensorError, TensorValue};
use crate::tracker::CaptureRequest;

/// What an analyzer may know of the model before the first batch.
#[derive(Clone, Copy)]
pub struct ModelView<'a> {
    /// The recorded graph.
    pub graph: &'a dyn Graph,
    /// The attention blocks (and other structure) found in it.
    pub structure: &'a Structure,
    /// The tokens of the model's tokenizer; `None` where the input is not text.
    pub vocabulary: Option<&'a Vocabulary>,
    /// The elements of the model's weights; `None` where only activations are at hand. Keep a clone to read them later.
    pub weights: Option<&'a Arc<dyn Weights>>,
}

/// The elements of a model's weights, read when they are needed.
pub trait Weights: Send + Sync {
    /// A copy of a named parameter of the graph as `f32`, of the shape that the graph has for it; `None` for any other
    /// tensor.
    ///
    /// # Errors
    /// [`TensorError::DType`] for elements that have no such form, such as quantised ones.
    fn weight(&self, id: TensorId) -> Option<Result<TensorValue, TensorError>>;
}

const _: Option<&dyn Weights> = None; // stays object-safe

/// A method that observes a model over many batches; five required methods.
///
/// The host calls `prepare` once, `track_batch` for every batch, and `analyze` at the end. At any time after
/// `prepare` it may call `state`, or `merge` what another analyzer of the same config has seen.
///
/// An analyzer MUST
/// - obey the merge law: absorbing two parts of the data separately and merging gives what one pass over both
///   gives, whichever part is merged into which and however the data are batched (up to rounding in `f64`);
/// - leave its state as it was when `track_batch` or `merge` fails: a host may leave out a batch that fails and go on, so
///   it must leave no trace;
/// - ignore padding, and give an error, not a panic, for any tensor.
///
/// It SHOULD keep memory independent of the number of batches, and parallelise over the host's rayon pool.
pub trait Analyzer: Send {
    /// Looks at the model and names the tensors to keep for [`track_batch`](Self::track_batch).
    ///
    /// # Errors
    /// [`AnalyzerError::Unsuitable`] if the model lacks what the method is about.
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError>;

    /// Absorbs one batch.
    ///
    /// # Errors
    /// Any [`AnalyzerError`], and then the state is as it was before: a host may leave out this batch and go on with the
    /// next, or end this analysis and go on with the others.
    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError>;

    /// Everything absorbed so far, as a value that can be stored and merged.
    ///
    /// # Errors
    /// Any [`AnalyzerError`].
    fn state(&self) -> Result<State, AnalyzerError>;

    /// Absorbs what another analyzer of the same config and model has seen. Merging into a freshly prepared
    /// analyzer restores the state.
    ///
    /// # Errors
    /// [`AnalyzerError::State`] if the state is of another analyzer, version or model.
    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError>;

    /// Draws the conclusions.
    ///
    /// # Errors
    /// [`AnalyzerError::NotEnoughData`] if too little was absorbed for any answer.
    fn analyze(&self) -> Result<Report, AnalyzerError>;

    /// What people can query already: relations of what was absorbed so far, without what only the end can tell. The host
    /// writes them at checkpoints, so that also a run that is killed leaves them. `None` where there is nothing to query.
    ///
    /// # Errors
    /// Any [`AnalyzerError`].
    fn interim(&self) -> Result<Option<Store>, AnalyzerError> {
        Ok(None)
    }
}

const _: Option<&dyn Analyzer> = None; // stays object-safe

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
