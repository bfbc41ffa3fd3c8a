//! Analyzers: what they promise, how they are configured, how they are found.

mod config;
mod conversions;
mod error;
mod model_view;
pub mod prelude;
mod registry;
mod state;
mod weights;

pub use crate::registry::schema_of;
pub use config::{AnalyzerConfig, ConfigError, RegisteredConfig};
pub use error::AnalyzerError;
pub use model_view::ModelView;
pub use registry::{AnalyzerEntry, Registry};
pub use state::{State, StateError, StateNumber};
pub use weights::Weights;

use crate::batch::Batch;
use crate::report::{Report, Store};
use crate::tracker::CaptureRequest;

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
