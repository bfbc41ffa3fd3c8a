//! What people can query before a run has ended, also one that was killed.
//!
//! Stores are written beside the checkpoint, each whole and then renamed: what is there can be read. They go with it when the
//! run ends, and the results have the final ones.

use std::path::Path;
use std::time::Instant;

use super::Lane;
use crate::checkpoint;
use crate::results::{to_sqlite, write};

/// The part of a run's time that may go into these files.
const SHARE: u32 = 20;

/// When the stores are due.
pub(super) struct Interim {
    due: Instant,
}

impl Interim {
    /// Due at the first checkpoint.
    pub(super) fn new() -> Self {
        Self { due: Instant::now() }
    }

    /// Writes the stores of all analyses that have one, `at_once` or if they are due. The longer that takes, the
    /// later they are due again. One that cannot be written is no reason to end a run.
    pub(super) fn write(&mut self, lanes: &mut [Lane], output: &Path, at_once: bool) {
        let begin = Instant::now();
        if begin < self.due && !at_once {
            return;
        }
        for lane in lanes {
            let Some(store) = lane.interim() else { continue };
            let bytes = match to_sqlite(&store) {
                Ok(bytes) => bytes,
                Err(error) => {
                    lane.fail("interim", &format!("store: {error}"));
                    continue;
                }
            };
            if let Err(error) = write(&checkpoint::interim_store(output, &lane.name), &bytes) {
                tracing::warn!(%error, "what can be queried so far was not written; the run goes on");
            }
        }
        self.due = begin + begin.elapsed() * SHARE;
    }
}
