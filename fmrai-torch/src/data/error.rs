//! What can be wrong with data.

use std::path::PathBuf;

use crate::error::TorchError;

/// Why data could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A record is not what it should be.
    #[error("{path}:{line}: {what}", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What was found and what is needed.
        what: String,
    },
    /// A record after which nothing more can be read.
    #[error("{path}:{line}: {what}", path = path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What was found and what is needed.
        what: String,
    },
    /// The file as a whole is not what it should be.
    #[error("{path}: {what}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found and what is needed.
        what: String,
    },
    /// The source and the model do not fit.
    #[error("{0}")]
    Unsuitable(String),
    /// libtorch reports an error.
    #[error("libtorch: {0}")]
    Torch(#[from] TorchError),
}
