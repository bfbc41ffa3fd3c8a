//! What a run is told besides its plan.

use crate::error::Error;
use crate::events::Observer;

/// What a run is told besides its plan. None of it changes a result.
pub struct Options<'a> {
    /// Go on from the checkpoint in the output folder, if there is one.
    pub resume: bool,
    /// Write into an output folder that holds something else, and drop the checkpoint of an unfinished run.
    pub force: bool,
    /// Those who watch it: [`Progress`](crate::progress::Progress) shows on stderr how far it is.
    pub observers: &'a [&'a dyn Observer],
    /// Asked after each batch and between all other steps, with the number of batches done: true stops the run, which can
    /// then be resumed.
    pub stop: &'a dyn Fn(u64) -> bool,
}

impl Default for Options<'_> {
    /// From the start, into a folder of its own, unwatched and to the end.
    fn default() -> Self {
        Self { resume: false, force: false, observers: &[], stop: &never }
    }
}

fn never(_: u64) -> bool {
    false
}

impl Options<'_> {
    /// A place where a run can be stopped, after so many batches.
    pub(super) fn pause(&self, batches: u64) -> Result<(), Error> {
        if (self.stop)(batches) { Err(Error::Interrupted { batches }) } else { Ok(()) }
    }
}
