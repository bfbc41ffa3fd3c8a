//! Methods that absorb data and conclude: what they promise, how they are configured, how they are found.

mod analysis;
mod config;
mod conversions;
mod error;
mod method;
mod model_view;
pub mod prelude;
mod registry;
mod state;
mod sums;
mod weights;

pub use crate::registry::schema_of;
pub use analysis::Analysis;
pub use config::{AnalyzerConfig, ConfigError};
pub use error::AnalyzerError;
pub use method::{Method, MethodConfig, RegisteredConfig};
pub use model_view::ModelView;
pub use registry::{AnalyzerEntry, Registry};
pub use state::{State, StateError, StateNumber};
pub use sums::{Summed, Sums};
pub use weights::Weights;

use crate::batch::Batch;
use crate::tracker::CaptureRequest;

/// A method that observes a model over many batches: two methods beside those of [`Analysis`].
///
/// The host calls `prepare` once, `track_batch` for every batch, and `analyze` at the end. A method that needs to run the model
/// itself is an [`Experiment`](crate::experiment::Experiment).
///
/// An analyzer MUST
/// - obey the merge law of [`Analysis`];
/// - leave its state as it was when `track_batch` or `merge` fails: a host may leave out a batch that fails and go on, so
///   it must leave no trace;
/// - ignore padding, and give an error, not a panic, for any tensor.
///
/// It SHOULD keep memory independent of the number of batches, and parallelise over the host's rayon pool.
pub trait Analyzer: Analysis {
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
}

const _: Option<&dyn Analyzer> = None; // stays object-safe
