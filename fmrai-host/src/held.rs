//! An analyzer and its end: what it does when it is dropped is foreign code, and must not hide what went wrong before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fmrai_core::analyzer::Analyzer;

use crate::calls;

/// What is said of an analyzer that panicked.
pub(crate) const PANICKED: &str = "the analyzer panicked: a bug in it, please report it";

/// An analyzer that may panic when it is dropped. It panics nowhere else: a failure is told to who closes it, and otherwise
/// logged.
pub struct Held {
    analyzer: Option<Box<dyn Analyzer>>,
    who: Arc<str>,
}

impl Held {
    /// Holds an analyzer; `who` it is, for messages.
    #[must_use]
    pub fn new(analyzer: Box<dyn Analyzer>, who: &str) -> Self {
        Self { analyzer: Some(analyzer), who: who.into() }
    }

    /// Who it is, for messages.
    #[must_use]
    pub fn who(&self) -> &Arc<str> {
        &self.who
    }

    /// The analyzer, until it is closed.
    #[must_use]
    pub fn get(&self) -> Option<&dyn Analyzer> {
        self.analyzer.as_deref()
    }

    /// The analyzer, until it is closed.
    pub fn get_mut(&mut self) -> Option<&mut dyn Analyzer> {
        // Written out: the borrow of the box does not outlive `self`, as `as_deref_mut` would have it.
        match &mut self.analyzer {
            Some(analyzer) => Some(analyzer.as_mut()),
            None => None,
        }
    }

    /// Drops the analyzer.
    ///
    /// # Errors
    /// What its end fails with.
    pub fn close(&mut self) -> Result<(), String> {
        let Some(analyzer) = self.analyzer.take() else { return Ok(()) };
        let drop = || drop(analyzer);
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
