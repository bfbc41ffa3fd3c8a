//! What happens in a run, as one stream that anybody can watch: the progress bar, the lines in its place, the file that
//! `fmrai serve` reads, and programs that embed this library.

use serde::{Deserialize, Serialize};

/// Something that happened in a run. As JSON its name is the field `event`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The model is loaded, its graph is known, and all analyses have looked at it. The first batch is next.
    Started {
        /// The analyses by name, in their order.
        analyses: Vec<String>,
        /// Operations of the graph.
        operations: usize,
        /// Texts that an earlier run has absorbed, which this one goes on from.
        texts: u64,
        /// Bytes of the data that have to be read.
        of: u64,
        /// Bytes of the model's weights and buffers; of the stored graph where no model runs.
        #[serde(default)]
        weights: u64,
        /// Bytes that tensors took at a time while the graph was recorded, on the first batch or a part of it; `None` where no model runs.
        #[serde(default)]
        pass: Option<u64>,
        /// Bytes of what analyses and captures keep of such a batch.
        #[serde(default)]
        kept: u64,
        /// Bytes of memory that the process holds now; `None` where the system does not tell.
        #[serde(default)]
        held: Option<u64>,
    },
    /// A batch was absorbed.
    Batch {
        /// Batches absorbed so far, those of all sweeps through the data together.
        batches: u64,
        /// Which sweep through the data it is, from 0.
        sweep: usize,
        /// Texts of the data that were read in this sweep.
        texts: u64,
        /// Bytes of the data that were read in this sweep.
        read: u64,
        /// Bytes that a sweep reads.
        of: u64,
    },
    /// What an analysis has seen so far can be queried: its store is written.
    Interim {
        /// The analysis.
        analysis: String,
    },
    /// An analysis has failed; the others go on.
    Failed {
        /// The analysis.
        analysis: String,
        /// The stage, as [`Failure::stage`](crate::run::Failure::stage) names them.
        stage: String,
        /// Why.
        message: String,
    },
    /// All of the data were seen; the conclusions of an analysis are drawn now.
    Concluding {
        /// The analysis.
        analysis: String,
    },
    /// All results are there, written where the run writes.
    Done {
        /// How many analyses have an answer.
        answered: usize,
        /// How many have failed.
        failed: usize,
    },
}

/// Watches a run. It is told on the thread of the run, which waits for it: what takes long belongs elsewhere.
pub trait Observer {
    /// Something has happened.
    fn observe(&self, event: &Event);
}

impl<F: Fn(&Event)> Observer for F {
    fn observe(&self, event: &Event) {
        self(event);
    }
}
