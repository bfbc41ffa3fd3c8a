//! An output folder while a run has it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::FolderError;
use super::lock::Lock;
use super::names::{CHECKPOINT, STATE, SUMMARY};
use super::occupant::{self, Occupant};
use super::owner::Owner;
use super::{listing, sweep};
use crate::plan::ResolvedPlan;
use crate::results::{WriteError, remove};

/// An output folder that nobody else writes into while this is held.
#[derive(Debug)]
pub struct OutputFolder {
    pub(super) path: PathBuf,
    lock: Lock,
    pub(super) owner: Owner,
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
            sweep::retire(&self.path, &self.owner.files)?;
            for file in listing::activations(&self.path) {
                remove(&self.path.join(file))?;
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
