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

mod error;
mod listing;
mod lock;
mod names;
mod occupant;
mod output;
mod owner;
mod publish;
mod sweep;
#[cfg(test)]
mod tests;

pub use error::FolderError;
pub use listing::ACTIVATIONS;
pub(crate) use lock::holder;
pub use names::STATE;
pub(crate) use names::{
    CAPTURED, CHECKPOINT, GRAPH, OWNER, PLAN, PROGRESS, REPORT, RUN, SUMMARY, TEMPORARY, is_state_file,
};
pub use occupant::{Occupant, occupant};
pub use output::OutputFolder;
pub(crate) use publish::look_up;
pub use publish::{Staging, Written};
