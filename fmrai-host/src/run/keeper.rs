//! What a run keeps on disk, if it keeps anything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::checkpoint::{Checkpoint, Identity, Progress, SaveError, Share};
use crate::error::Error;
use crate::results::folder::{Occupant, OutputFolder};

/// Where a run writes, and what it says there of itself.
pub(super) struct Place<'f> {
    pub(super) folder: &'f mut OutputFolder,
    /// What the folder held when it was taken.
    pub(super) occupant: Occupant,
    /// The plan with all defaults.
    pub(super) document: Value,
    /// The plan's file, if it came from one.
    pub(super) file: Option<PathBuf>,
    pub(super) checkpoint_every: Duration,
    /// Whether a report is written.
    pub(super) report: bool,
}

/// Keeps the results and the checkpoints of a run that is known by now.
pub(super) struct Keeper<'f> {
    pub(super) place: Place<'f>,
    identity: Identity,
    /// After how many batches the checkpoint on disk is.
    saved: Option<u64>,
}

impl<'f> Keeper<'f> {
    pub(super) fn new(place: Place<'f>, identity: Identity) -> Self {
        Self { place, identity, saved: None }
    }

    pub(super) fn output(&self) -> &Path {
        self.place.folder.path()
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The checkpoint in the folder, if there is one and it is of this very run and share of the data.
    pub(super) fn load(&self, share: &Share) -> Result<Option<Checkpoint>, Error> {
        let Some(checkpoint) = Checkpoint::load(self.output())? else { return Ok(None) };
        checkpoint.check(&self.identity, share, self.output())?;
        Ok(Some(checkpoint))
    }

    /// The checkpoint in the folder is the one after so many batches.
    pub(super) fn saved(&mut self, batches: u64) {
        self.saved = Some(batches);
    }

    /// Writes what `checkpoint` makes of the run after so many batches, with the state of each analysis, unless it is there.
    pub(super) fn save(
        &mut self,
        batches: u64,
        checkpoint: impl FnOnce(Identity) -> Checkpoint,
        states: impl Iterator<Item = (String, Progress)>,
    ) -> Result<(), Error> {
        let kept = self.place.folder.hold()?;
        if kept && self.saved == Some(batches) {
            return Ok(());
        }
        let checkpoint = checkpoint(self.identity.clone());
        checkpoint.save_with(self.output(), states).map_err(|error| match error {
            SaveError::Write(source) => Error::from(source), // its path says that it is a checkpoint's
            other => other.into(),
        })?;
        self.saved = Some(batches);
        Ok(())
    }
}
