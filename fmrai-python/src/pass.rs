//! A pass that was watched.

use std::sync::{Mutex, PoisonError};

use fmrai_core::graph::TensorId;
use fmrai_torch::capture::Kept;
use pyo3::prelude::*;

use crate::graph::Graph;
use crate::tensor::to_python;

/// A pass: the graph that it followed, and what was kept of it.
#[pyclass(frozen, module = "fmrai._native")]
pub(crate) struct Pass {
    #[pyo3(get)]
    pub(crate) graph: Py<Graph>,
    pub(crate) kept: Mutex<Option<Kept>>,
}

impl Pass {
    /// What was kept.
    pub(crate) fn kept(&self) -> Option<Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[pymethods]
impl Pass {
    /// A tensor that was kept; `None` for others.
    fn tensor<'py>(&self, py: Python<'py>, id: u32) -> PyResult<Option<Bound<'py, PyAny>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let tensor = kept.as_ref().and_then(|kept| kept.tensor(TensorId(id))).cloned();
        // Nothing of Python is called while others may wait.
        drop(kept);
        tensor.map(|tensor| to_python(py, &tensor)).transpose()
    }

    /// The ids of what was kept.
    fn ids(&self) -> Vec<u32> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().map(|kept| kept.ids().map(|id| id.0).collect()).unwrap_or_default()
    }
}
