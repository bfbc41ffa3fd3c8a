//! Tensors between Python and Rust, and the modules that they are made in.

use std::cell::RefCell;

use fmrai_torch::Tensor;
use fmrai_torch::capture::{Scope, scope};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::error::of_torch;

/// Defines what Python takes tensors over by.
pub(crate) fn define() -> PyResult<()> {
    Tensor::define_take().map_err(of_torch)
}

/// The same tensor as a `torch.Tensor`.
pub(crate) fn to_python<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    static TAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let take = TAKE.get_or_try_init(py, || {
        let operations = py.import("torch")?.getattr("ops")?.getattr("fmrai")?;
        Ok::<_, PyErr>(operations.getattr("take")?.getattr("default")?.unbind())
    })?;
    take.bind(py).call1((tensor.hand_over().map_err(of_torch)?,))
}

thread_local! {
    /// The modules that run on this thread, each with its whole path; the innermost is the one that counts.
    static MODULES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static CURRENT: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// Says that what runs on this thread from now on is part of the module with this path.
#[pyfunction]
pub(crate) fn enter_module(path: String) {
    MODULES.with_borrow_mut(|modules| modules.push(path));
    show();
}

/// Ends what `enter_module` began.
#[pyfunction]
pub(crate) fn leave_module() {
    MODULES.with_borrow_mut(Vec::pop);
    show();
}

fn show() {
    CURRENT.with_borrow_mut(|current| {
        // The old one ends before the new one begins: scopes are a stack.
        *current = None;
        *current = MODULES.with_borrow(|modules| modules.last().filter(|path| !path.is_empty()).map(scope));
    });
}
