//! The serializable side of an analyzer.

use std::fmt;

use super::Analyzer;

/// A serializable description of an analysis, as a plan holds it. Cheap; owns no tensor.
///
/// Implement it, and give it its name in a plan with [`register_analyzer!`](crate::register_analyzer).
pub trait AnalyzerConfig: fmt::Debug + Send + Sync {
    /// An analyzer that follows this config.
    ///
    /// # Errors
    /// [`ConfigError`] for a field whose value makes no sense.
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError>;
}

/// A field of a config has a value that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {found}, valid is {valid}")]
pub struct ConfigError {
    /// Name of the field.
    pub field: &'static str,
    /// Its value.
    pub found: String,
    /// What it may be.
    pub valid: String,
}
