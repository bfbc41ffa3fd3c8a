//! What libtorch reports.

use std::fmt;

/// An error of libtorch: the first line of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TorchError(String);

impl TorchError {
    /// An error with this message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// True for a message of libtorch that says that there is no memory left for a tensor, on the CPU or on a device.
#[must_use]
pub fn is_out_of_memory(message: &str) -> bool {
    ["can't allocate memory", "out of memory", "std::bad_alloc"].iter().any(|words| message.contains(words))
}

impl fmt::Display for TorchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TorchError {}
