//! Who owns an output folder, written before anything else and removed after everything else.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::FolderError;
use super::names::{OWNER, STATE};
use crate::results::{WriteError, write_json};

/// Version of the document.
const FORMAT: u32 = 1;

/// For which plan a folder was taken, and which files in it this program may replace and remove.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Owner {
    format: u32,
    /// Version of the program that took it.
    fmrai: String,
    /// What the results depend on, as [`ResolvedPlan::essence`](crate::plan::ResolvedPlan::essence) has it.
    pub(super) plan: Value,
    /// Whether the run captures: its batches then lie in the folder, though nothing lists them yet.
    pub(super) captures: bool,
    /// Relative to the folder: files of earlier runs that no summary may list any more, and those on their way.
    pub(super) files: BTreeSet<PathBuf>,
}

impl Owner {
    pub(super) fn new(plan: Value, files: BTreeSet<PathBuf>) -> Self {
        let captures = plan.get("capture").is_some();
        Self { format: FORMAT, fmrai: env!("CARGO_PKG_VERSION").to_owned(), plan, captures, files }
    }

    /// The owner of a folder, if it has one.
    ///
    /// # Errors
    /// [`FolderError::Io`] if the file is there and cannot be read.
    pub(super) fn read(output: &Path) -> Result<Option<Self>, FolderError> {
        let path = output.join(STATE).join(OWNER);
        match std::fs::read(&path) {
            // Whoever spoils this file takes the folder from us: what is in it then is foreign again.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FolderError::Io { path, source }),
        }
    }

    pub(super) fn write(&self, output: &Path) -> Result<(), WriteError> {
        write_json(&output.join(STATE).join(OWNER), self)
    }
}
