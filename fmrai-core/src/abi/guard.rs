//! Keeps errors and panics of an analyzer on its own side, as a status and a message.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::raw::{self, ERR, ERR_CONFIG, ERR_INVALID, ERR_PANIC, OK, Sink, Status};
use crate::analyzer::{AnalyzerError, ConfigError};

/// Why a call failed.
pub(super) struct Failure {
    status: Status,
    message: String,
}

impl Failure {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: ERR_INVALID, message: message.into() }
    }

    pub(super) fn status(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<AnalyzerError> for Failure {
    fn from(error: AnalyzerError) -> Self {
        Self { status: ERR, message: error.to_string() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let ConfigError { field, found, valid } = error;
        let message = serde_json::json!({ "field": field, "found": found, "valid": valid }).to_string();
        Self { status: ERR_CONFIG, message }
    }
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Remembers what a panic says and where it was. For a library with a standard library of its own, in which the host's
/// hook is never called; never installed where an analyzer is linked into its host.
pub(super) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let place =
                panic.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
            let message = format!("{}{place}", text(panic.payload()));
            // A thread that is ending has no slot any more.
            let _ = LAST_PANIC.try_with(|slot| slot.try_borrow_mut().map(|mut slot| *slot = Some(message)));
        }));
    });
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|t| (*t).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// Runs an analyzer's code. Nothing unwinds out of here.
///
/// # Safety
/// `err` is NULL or a sink that lives.
pub(super) unsafe fn guard(err: *mut Sink, run: impl FnOnce() -> Result<(), Failure>) -> Status {
    let _ = LAST_PANIC.try_with(|slot| slot.try_borrow_mut().map(|mut slot| slot.take()));
    let failure = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => return OK,
        Ok(Err(failure)) => failure,
        Err(payload) => {
            let kept =
                LAST_PANIC.try_with(|slot| slot.try_borrow_mut().ok().and_then(|mut slot| slot.take()));
            let message = kept.ok().flatten().unwrap_or_else(|| text(payload.as_ref()));
            // What was thrown may panic when it is dropped, and what that throws is never dropped.
            if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(second);
            }
            Failure::status(ERR_PANIC, format!("panicked: {message}"))
        }
    };
    // SAFETY: the caller's promise.
    unsafe { raw::write(err, failure.message.as_bytes()) };
    failure.status
}
