//! The exceptions of the package.

use std::error::Error;

use fmrai_core::selector::{SelectError, SelectorSyntaxError};
use fmrai_core::tracker::{BoxError, TrackError};
use fmrai_torch::TorchError;
use fmrai_torch::capture::LiveError;
use fmrai_torch::model::ModelError;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

pyo3::create_exception!(
    fmrai,
    FmraiError,
    PyException,
    "What went wrong in fMRAi; all its exceptions are of this kind."
);
pyo3::create_exception!(fmrai, TrackingError, FmraiError, "A pass could not be watched.");
pyo3::create_exception!(fmrai, SelectorError, FmraiError, "A name selects nothing, or is no selector.");
pyo3::create_exception!(fmrai, ConfigError, FmraiError, "A method was given a setting that makes no sense.");
pyo3::create_exception!(fmrai, AnalysisError, FmraiError, "A method cannot go on, or cannot conclude.");
pyo3::create_exception!(fmrai, RunError, FmraiError, "A plan or a run is wrong, or could not be finished.");

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("FmraiError", py.get_type::<FmraiError>())?;
    module.add("TrackingError", py.get_type::<TrackingError>())?;
    module.add("SelectorError", py.get_type::<SelectorError>())?;
    module.add("ConfigError", py.get_type::<ConfigError>())?;
    module.add("AnalysisError", py.get_type::<AnalysisError>())?;
    module.add("RunError", py.get_type::<RunError>())
}

/// The exception that stands behind an error, or one made of its message.
pub(crate) fn exception(error: BoxError, make: impl FnOnce(String) -> PyErr) -> PyErr {
    match error.downcast::<PyErr>() {
        Ok(exception) => *exception,
        Err(error) => make(error.to_string()),
    }
}

pub(crate) fn of_track(error: TrackError) -> PyErr {
    match error {
        TrackError::Forward(error) => exception(error, TrackingError::new_err),
        TrackError::Action { place, source } => {
            exception(source, |what| TrackingError::new_err(format!("what acts on {place} failed: {what}")))
        }
        other => TrackingError::new_err(other.to_string()),
    }
}

pub(crate) fn of_live(error: LiveError) -> PyErr {
    match error {
        LiveError::Track(error) => of_track(error),
        LiveError::Ask(error) => exception(error, SelectorError::new_err),
        other => TrackingError::new_err(other.to_string()),
    }
}

pub(crate) fn of_torch(error: TorchError) -> PyErr {
    TrackingError::new_err(error.to_string())
}

pub(crate) fn of_syntax(error: SelectorSyntaxError) -> PyErr {
    SelectorError::new_err(error.to_string())
}

pub(crate) fn of_select(error: SelectError) -> PyErr {
    SelectorError::new_err(error.to_string())
}

/// An error and what it came from, in one line.
pub(crate) fn line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

/// What Python raised, as an error of a model.
pub(crate) fn in_model(error: PyErr) -> ModelError {
    ModelError::Torch(TorchError::new(error.to_string()))
}
