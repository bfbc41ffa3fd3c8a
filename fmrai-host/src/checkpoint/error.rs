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
    /// It is about other batches.
    #[error("the unfinished run in {path} is about {found}: give it the same --shard or --batches, merge it, or start again with --force", path = path.display())]
    Share {
        /// The output folder.
        path: PathBuf,
        /// Which ones.
        found: String,
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

/// Why parts cannot be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// A folder holds nothing of a part.
    #[error("{path} holds no unfinished run, so there is nothing in it to merge: needed is the output folder of a run with --shard or --batches", path = path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// A part is of another run.
    #[error("{path} is not of this run: {}", differences.join("; "), path = path.display())]
    Different {
        /// The folder.
        path: PathBuf,
        /// What is not the same.
        differences: Vec<String>,
    },
    /// Two parts have absorbed the same batches.
    #[error("{batches} are in both {} and {}: merge one of them", first.display(), second.display())]
    Doubled {
        /// Which ones.
        batches: String,
        /// One folder.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Some batches are in no part.
    #[error(
        "of the {of} batches of the data some are in none of the folders: {missing}; add what is missing, or keep what is there for another merge with --partial"
    )]
    Missing {
        /// How many the data have.
        of: u64,
        /// Which ones are absent, and which run has not come to them.
        missing: String,
    },
    /// A part says something of the data that is not so.
    #[error("{path} has {found}, the data have {of} batches", path = path.display())]
    Outside {
        /// The folder.
        path: PathBuf,
        /// What it has.
        found: String,
        /// How many the data have.
        of: u64,
    },
}
