//! What can be wrong with a file where it is not known yet which file that is.

use std::fmt::Display;
use std::io;
use std::path::Path;

use fmrai_torch::files::FileError;

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// The system does not let it be read.
    Io(io::Error),
    /// It holds what it should not hold.
    Content(String),
}

impl Fault {
    /// The same of the file at `path`.
    pub(super) fn of(self, path: &Path) -> FileError {
        let path = path.to_owned();
        match self {
            Self::Io(source) => FileError::Io { path, source },
            Self::Content(what) => FileError::Content { path, what },
        }
    }

    /// The same of a part of the file, such as a tensor.
    pub(super) fn within(self, place: impl Display) -> Self {
        match self {
            Self::Io(_) => self,
            Self::Content(what) => Self::Content(format!("{place}: {what}")),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Self::Content(what)
    }
}
