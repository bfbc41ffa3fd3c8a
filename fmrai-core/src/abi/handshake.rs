//! What a library answers before there is an instance of any of its analyzers.

use super::raw::{Collected, OK, Sink, Status};

/// A library that is no plugin, or breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It speaks another major version, or declines.
    #[error("it speaks plugin ABI {found}, this program speaks {needed}")]
    Version {
        /// Its version.
        found: String,
        /// The version of this program.
        needed: String,
    },
    /// A struct or function is not as the header says.
    #[error("it breaks the contract of plugins: {0}")]
    Broken(String),
    /// It reports a failure.
    #[error("its {call} failed: {message}")]
    Failed {
        /// Which function.
        call: &'static str,
        /// What it says.
        message: String,
    },
}

/// Calls a function that may fail before there is an instance.
pub(super) fn called(
    call: &'static str,
    run: impl FnOnce(*mut Sink) -> Status,
) -> Result<(), HandshakeError> {
    let mut err = Collected::new();
    match run(&mut err.sink()) {
        OK => Ok(()),
        status => Err(HandshakeError::Failed { call, message: err.message(status) }),
    }
}
