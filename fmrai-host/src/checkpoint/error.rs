//! Why an unfinished run was not written or cannot be continued.

use std::path::PathBuf;

use fmrai_core::analyzer::StateError;

use crate::results::WriteError;

/// Why a run cannot be continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// It would not lead to the same result.
    #[error("the unfinished run in {path} cannot be continued: {}", differences.join("; "), path = path.display())]
    Different {
        /// The output folder.
        path: PathBuf,
        /// What is not as it was.
        differences: Vec<String>,
    },
    /// A file of the checkpoint is damaged.
    #[error("{path}: {what}; start again with --force", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file of the checkpoint cannot be read now.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An analyzer refuses its state.
    #[error("analysis {analysis:?} refuses its state: {message}; start again with --force")]
    Refused {
        /// Its name.
        analysis: String,
        /// What it says.
        message: String,
    },
}

/// Why a checkpoint was not written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A state has no bytes.
    #[error("the state of analysis {0:?}: {1}")]
    State(String, StateError),
}
