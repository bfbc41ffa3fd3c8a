//! What of the boundary to Python the compiler cannot check.
#![expect(unsafe_code, reason = "every block says why it is sound")]

use fmrai_torch::Tensor;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::error::of_torch;

/// The tensor that a `torch.Tensor` stands for; they share everything.
pub(crate) fn tensor_of(value: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let class =
        CLASS.get_or_try_init(py, || Ok::<_, PyErr>(py.import("torch")?.getattr("Tensor")?.unbind()))?;
    if !value.is_instance(class.bind(py))? {
        return Err(PyTypeError::new_err(format!("a torch.Tensor is needed, this is {}", value.get_type())));
    }
    let address: usize = value.getattr("_cdata")?.extract()?;
    // SAFETY: a `torch.Tensor` tells the address of its implementation and holds it; the argument holds the `torch.Tensor` meanwhile.
    unsafe { Tensor::of_implementation(address) }.map_err(of_torch)
}

/// Runs `what` with the interpreter, from within an operation of libtorch. Its Python bindings give the interpreter up around each operation, of
/// which pyo3 knows nothing: `Python::attach` would take it for held.
pub(crate) fn attached<T>(what: impl FnOnce(Python<'_>) -> T) -> T {
    /// Gives it up again, also while unwinding.
    struct Held(pyo3::ffi::PyGILState_STATE);
    impl Drop for Held {
        fn drop(&mut self) {
            // SAFETY: it undoes the `PyGILState_Ensure` of this very thread.
            unsafe { pyo3::ffi::PyGILState_Release(self.0) }
        }
    }
    // SAFETY: the interpreter is initialized, since it has called us; the call nests.
    let _held = Held(unsafe { pyo3::ffi::PyGILState_Ensure() });
    // SAFETY: the line above has attached this thread, until `_held` is dropped after `what` is done.
    what(unsafe { Python::assume_attached() })
}
