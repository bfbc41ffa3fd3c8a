//! A method of either kind.

use std::fmt;
use std::path::Path;

use super::config::ConfigError;
use super::error::AnalyzerError;
use super::model_view::ModelView;
use super::{Analysis, Analyzer};
use crate::experiment::Experiment;
use crate::tracker::CaptureRequest;

/// A method that observes the model, or one that drives it.
pub enum Method {
    /// It is shown what a pass made.
    Analyzer(Box<dyn Analyzer>),
    /// It runs the model itself, too.
    Experiment(Box<dyn Experiment>),
}

impl Method {
    /// What both kinds have in common.
    #[must_use]
    pub fn analysis(&self) -> &dyn Analysis {
        match self {
            Self::Analyzer(analyzer) => analyzer.as_ref(),
            Self::Experiment(experiment) => experiment.as_ref(),
        }
    }

    /// The same, to be changed.
    pub fn analysis_mut(&mut self) -> &mut dyn Analysis {
        match self {
            Self::Analyzer(analyzer) => analyzer.as_mut(),
            Self::Experiment(experiment) => experiment.as_mut(),
        }
    }

    /// The analyzer, if it observes.
    #[must_use]
    pub fn into_analyzer(self) -> Option<Box<dyn Analyzer>> {
        match self {
            Self::Analyzer(analyzer) => Some(analyzer),
            Self::Experiment(_) => None,
        }
    }

    /// Looks at the model, and names the tensors to keep of each pass.
    ///
    /// # Errors
    /// Those of the method.
    pub fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        match self {
            Self::Analyzer(analyzer) => analyzer.prepare(model),
            Self::Experiment(experiment) => experiment.prepare(model),
        }
    }
}

/// The config of a method of either kind. [`register_analyzer!`](crate::register_analyzer) and
/// [`register_experiment!`](crate::register_experiment) implement it.
pub trait MethodConfig: fmt::Debug + Send + Sync {
    /// A method that follows this config.
    ///
    /// # Errors
    /// [`ConfigError`] for a field whose value makes no sense.
    fn method(&self) -> Result<Method, ConfigError>;

    /// The same, where relative paths of files that the method reads start from a folder.
    ///
    /// # Errors
    /// As [`method`](Self::method).
    fn method_in(&self, base: &Path) -> Result<Method, ConfigError> {
        let _ = base;
        self.method()
    }
}

/// A config with its name: what the field `type` of an object in a plan chooses.
///
/// [`register_analyzer!`](crate::register_analyzer) and [`register_experiment!`](crate::register_experiment) implement it.
#[typetag::serde(tag = "type")]
pub trait RegisteredConfig: MethodConfig {}
