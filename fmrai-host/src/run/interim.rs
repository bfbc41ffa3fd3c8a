//! What people can query before a run has ended, also one that was killed.
//!
//! Stores are written beside the checkpoint, each whole and then renamed: what is there can be read. They go with it when the
//! run ends, and the results have the final ones.

use std::path::Path;
use std::time::Instant;

use super::lane::Lane;
use crate::checkpoint;
use crate::results::write_store;

/// One part in so many of a run's time may go into these files.
const ONE_IN: u32 = 20;

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
    /// later they are due again; the analyses whose store was written are told. One that cannot be written is no reason to end a run.
    pub(super) fn write(&mut self, lanes: &[Lane], output: &Path, at_once: bool) -> Vec<String> {
        let begin = Instant::now();
        if begin < self.due && !at_once {
            return Vec::new();
        }
        let mut there = Vec::new();
        for lane in lanes {
            let Some(store) = lane.interim() else { continue };
            let path = checkpoint::interim_store(output, &lane.name);
            match write_store(&path, &store) {
                Ok(()) => there.push(lane.name.clone()),
                Err(error) => {
                    tracing::warn!(%error, "what can be queried so far was not written; the run goes on");
                }
            }
        }
        self.due = begin + begin.elapsed() * ONE_IN;
        there
    }
}
