//! Why an output folder cannot be used.

use std::path::PathBuf;

use crate::results::WriteError;

/// Why an output folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It holds something that would be mixed up with the results.
    #[error("the output folder {path} {found}: choose another with --output, or replace it with --force", path = path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// It holds an unfinished run.
    #[error("the output folder {path} holds an unfinished run: go on with --resume, or start again with --force", path = path.display())]
    Unfinished {
        /// The folder.
        path: PathBuf,
    },
    /// Another process writes into it.
    #[error("the output folder {path} is in use by another run{}", process(holder.as_ref()), path = path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
        /// The process, if it has told.
        holder: Option<u32>,
    },
    /// It is no folder.
    #[error("the output {path} is a file, needed a folder", path = path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("the output folder: {path}: {source}", path = path.display())]
    Io {
        /// What in it cannot be read, or the folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

fn process(holder: Option<&u32>) -> String {
    holder.map(|pid| format!(", process {pid}")).unwrap_or_default()
}
