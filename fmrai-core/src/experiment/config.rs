//! The serializable side of an experiment.

use std::fmt;
use std::path::Path;

use super::Experiment;
use crate::analyzer::ConfigError;

/// A serializable description of an experiment, as a plan holds it. Cheap; owns no tensor.
///
/// Implement it, and give it its name in a plan with [`register_experiment!`](crate::register_experiment).
pub trait ExperimentConfig: fmt::Debug + Send + Sync {
    /// An experiment that follows this config.
    ///
    /// # Errors
    /// [`ConfigError`] for a field whose value makes no sense.
    fn build(&self) -> Result<Box<dyn Experiment>, ConfigError>;

    /// The same, where relative paths of files that the experiment reads start from a folder: that of the plan. What
    /// [`build`](Self::build) makes takes them from the current one. Files are read when the experiment is prepared.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    fn build_in(&self, base: &Path) -> Result<Box<dyn Experiment>, ConfigError> {
        let _ = base;
        self.build()
    }
}
