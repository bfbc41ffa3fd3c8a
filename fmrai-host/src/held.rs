//! A method and its end: what it does when it is dropped is foreign code, and must not hide what went wrong before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fmrai_core::analyzer::Method;

use crate::calls;

/// What is said of an analyzer that panicked.
pub(crate) const PANICKED: &str = "the analyzer panicked: a bug in it, please report it";

/// A method that may panic when it is dropped. It panics nowhere else: a failure is told to who closes it, and otherwise
/// logged.
pub struct Held {
    method: Option<Method>,
    who: Arc<str>,
}

impl Held {
    /// Holds a method; `who` it is, for messages.
    #[must_use]
    pub fn new(method: Method, who: &str) -> Self {
        Self { method: Some(method), who: who.into() }
    }

    /// Holds no method yet, that of `who` it is to be.
    #[must_use]
    pub fn none(who: &str) -> Self {
        Self { method: None, who: who.into() }
    }

    /// Who it is, for messages.
    #[must_use]
    pub fn who(&self) -> &Arc<str> {
        &self.who
    }

    /// The method, until it is closed.
    #[must_use]
    pub fn get(&self) -> Option<&Method> {
        self.method.as_ref()
    }

    /// The method, until it is closed.
    pub fn get_mut(&mut self) -> Option<&mut Method> {
        self.method.as_mut()
    }

    /// Drops the analyzer.
    ///
    /// # Errors
    /// What its end fails with.
    pub fn close(&mut self) -> Result<(), String> {
        let Some(method) = self.method.take() else { return Ok(()) };
        let drop = || drop(method);
        match calls::during("drop", &self.who, || catch_unwind(AssertUnwindSafe(drop))) {
            Ok(()) => Ok(()),
            Err(payload) => {
                let said = payload.downcast_ref::<String>().cloned();
                std::mem::forget(payload); // its own drop may panic too
                Err(said.unwrap_or_else(|| PANICKED.to_owned()))
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(message) = self.close() {
            tracing::warn!(analyzer = %self.who, message, "an analyzer failed at its end");
        }
    }
}
