//! The serializable side of an experiment.

use std::fmt;

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
}
