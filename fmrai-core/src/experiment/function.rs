//! Code that an edit or an objective calls.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Code that a bench calls in the middle of a pass, with tensors that this crate does not know: made by the crate that the bench is from
/// (`fmrai_torch::bench::function`), and opaque here. A bench that does not know it refuses it. Two are equal if one is a clone of the other.
#[derive(Clone)]
pub struct Function(Arc<dyn Any + Send + Sync>);

impl Function {
    /// What a bench finds with [`get`](Self::get).
    #[must_use]
    pub fn new(code: impl Any + Send + Sync) -> Self {
        Self(Arc::new(code))
    }

    /// The code, if it is of this type.
    #[must_use]
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function")
    }
}
