//! What a run is told besides its plan.

use super::work::Work;
use crate::error::Error;
use crate::events::Observer;

/// What a run is told besides its plan. None of it changes a result.
#[derive(Clone)]
pub struct Options<'a> {
    /// Which part of the plan it does.
    pub work: Work,
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
    /// The whole plan, watched by nobody.
    fn default() -> Self {
        Self { work: Work::Whole, resume: false, force: false, observers: &[], stop: &|_| false }
    }
}

impl Options<'_> {
    /// A place where a run can be stopped, after so many batches.
    pub(super) fn pause(&self, batches: u64) -> Result<(), Error> {
        if (self.stop)(batches) { Err(Error::Interrupted { batches }) } else { Ok(()) }
    }
}
