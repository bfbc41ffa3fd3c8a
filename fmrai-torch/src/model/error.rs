//! What can be wrong with a model.

use std::path::PathBuf;

use crate::error::TorchError;
use crate::files::FileError;

/// Why a model could not be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {what}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found and what is needed.
        what: String,
    },
    /// A config that was given in memory is wrong.
    #[error("config: {what}")]
    Config {
        /// What was found and what is needed.
        what: String,
    },
    /// A node of a program is wrong, or fails.
    #[error("{path}: node {node}: {what}", path = path.display())]
    Node {
        /// The file of the program.
        path: PathBuf,
        /// The node.
        node: String,
        /// What was found and what is needed.
        what: String,
    },
    /// The weights do not fit the architecture.
    #[error("{path}: the weights do not fit a {architecture} model: {}{hint}", list(missing, unknown, misshapen), path = path.display())]
    Weights {
        /// The checkpoint.
        path: PathBuf,
        /// The architecture its config names.
        architecture: String,
        /// Names the architecture needs and the files do not have.
        missing: Vec<String>,
        /// Names the files have and no known part of the architecture uses.
        unknown: Vec<String>,
        /// `name: found [..], needed [..]`.
        misshapen: Vec<String>,
        /// The likely reason and the way out, as the end of the message; empty where none is known.
        hint: String,
    },
    /// The inputs are not what the model takes.
    #[error("the model takes {needed}, was given {found}")]
    Inputs {
        /// What was given.
        found: String,
        /// What it takes.
        needed: String,
    },
    /// What a pass changed of the model cannot be told or taken back.
    #[error("the state of the model: {what}")]
    State {
        /// What libtorch reports.
        what: String,
    },
    /// A pass cannot be edited as it should be.
    #[error("the edited pass: {what}")]
    Edited {
        /// What is wrong.
        what: String,
    },
    /// libtorch reports an error.
    #[error("libtorch: {0}")]
    Torch(#[from] TorchError),
}

impl From<FileError> for ModelError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io { path, source } => Self::Io { path, source },
            FileError::Content { path, what } => Self::File { path, what },
        }
    }
}

fn list(missing: &[String], unknown: &[String], misshapen: &[String]) -> String {
    let part = |what: &str, names: &[String]| {
        let more = if names.len() > 8 { format!(" and {} more", names.len() - 8) } else { String::new() };
        let shown = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        (!names.is_empty()).then(|| format!("{what} {shown}{more}"))
    };
    [part("missing", missing), part("unknown", unknown), part("of another shape", misshapen)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ")
}
