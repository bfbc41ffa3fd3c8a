//! The folder that results go to, and the order in which things are written there and removed.
//!
//! Whatever ends a run, a later one finds one of these states and knows it by what is there:
//!
//! 1. **Taken.** The lock is held, and `owner.json` says for which plan, and which files of earlier runs are there. Written
//!    before anything else, removed after everything else, so that nothing of ours ever looks foreign.
//! 2. **Unfinished.** `checkpoint.json` is there. It names states with their hashes, is written after them and removed
//!    before them, so it never names one that is not whole. Batches that are captured are written in place, their hashes after
//!    them.
//! 3. **Staged.** The state at the end of the data is written. All results are written below the folder of the unfinished
//!    run, so those of an earlier run stay complete until the new ones are.
//! 4. **Moving.** `owner.json` lists the new files too. The old summary of the run goes first, then those of its parts; each
//!    file is renamed to its place, files that are no longer part of the results are removed, every listed file is looked up,
//!    and the summary of the run comes last.
//! 5. **Complete.** The summary is there: everything that it lists is there and is of one run. The checkpoint goes, then
//!    the rest of the unfinished run, its owner and its lock last.
//!
//! A run that dies in 2 to 4 goes on from its checkpoint and does the rest again.

mod listing;
mod lock;
mod names;
mod occupant;
mod owner;
mod publish;
mod sweep;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::WriteError;
use crate::plan::ResolvedPlan;
pub use listing::ACTIVATIONS;
use lock::Lock;
pub use names::STATE;
pub(crate) use names::{CAPTURED, CHECKPOINT, PLAN, RUN, SUMMARY, TEMPORARY, is_state_file};
pub use occupant::{Occupant, occupant};
use owner::Owner;
pub(crate) use publish::look_up;
pub use publish::{Staging, Written};

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

/// An output folder that nobody else writes into while this is held.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    lock: Lock,
    owner: Owner,
    /// Whether it was not there before.
    made: bool,
}

impl OutputFolder {
    /// Takes a folder for the results of a plan, which is made if it is absent, and tells what it holds. Temporary files that
    /// a run has left are removed; nothing else is yet.
    ///
    /// # Errors
    /// [`FolderError`] says what is in the way; the folder is then as it was.
    pub fn take(
        path: &Path,
        plan: &Value,
        resume: bool,
        force: bool,
    ) -> Result<(Self, Occupant), FolderError> {
        let made = !path.exists();
        if !made && !path.is_dir() {
            return Err(FolderError::NotAFolder { path: path.to_owned() });
        }
        let lock = Lock::take(path).inspect_err(|_| sweep::remove_if_empty(path, made))?;
        let admitted = || {
            let occupant = occupant::admit(path, plan, resume, force)?;
            let owner = Owner::new(ResolvedPlan::essence(plan), listing::owned(path)?);
            sweep::temporaries(path, plan, &owner.files)?;
            owner.write(path)?;
            Ok((occupant, owner))
        };
        match admitted() {
            Ok((occupant, owner)) => Ok((Self { path: path.to_owned(), lock, owner, made }, occupant)),
            Err(error) => {
                lock.undo();
                sweep::remove_if_empty(path, made);
                Err(error)
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the folder again where it was removed meanwhile; false if so, since what was written is gone then.
    ///
    /// # Errors
    /// [`FolderError`] if another process has taken it, or nothing can be written.
    pub fn hold(&mut self) -> Result<bool, FolderError> {
        if self.lock.is_held() {
            return Ok(true);
        }
        tracing::warn!(folder = %self.path.display(), "the output folder was removed during the run; it is made again");
        self.lock = Lock::take(&self.path)?;
        self.owner.write(&self.path)?;
        Ok(false)
    }

    /// Starts anew: what an unfinished run has kept is dropped. A run that captures also takes away the results of an earlier
    /// run at once, since its batches are written in place.
    ///
    /// # Errors
    /// [`WriteError`] names the file that cannot be removed.
    pub fn start_anew(&mut self) -> Result<(), WriteError> {
        sweep::drop_state(&self.path)?;
        if self.owner.captures {
            publish::retire(&self.path, &self.owner.files)?;
            for file in listing::activations(&self.path) {
                super::remove(&self.path.join(file))?;
            }
        }
        Ok(())
    }

    /// Gives the folder back after a run that did not end: what it has kept stays, and nothing that it made for nothing.
    pub fn leave(self) {
        let exists = |name: &str| self.path.join(name).exists();
        let unfinished = exists(&format!("{STATE}/{CHECKPOINT}"));
        // While the old summary is there, it tells whose the files are.
        let accounted = self.owner.files.is_empty() || exists(SUMMARY);
        if !unfinished && accounted {
            if let Err(error) = sweep::release(&self.path) {
                tracing::debug!(%error, "the folder of a run that did not begin stays");
            }
            sweep::remove_if_empty(&self.path, self.made);
        }
    }
}
