//! Batches as a model takes them.

use fmrai_core::batch::Sample;
use serde::{Deserialize, Serialize};

use super::error::DataError;
use crate::files::FileInfo;
use crate::model::NamedTensors;

/// Batches of a data source, the same ones in the same order every time it is opened.
pub trait Batches {
    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// [`DataError`] names the file and line at fault.
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError>;

    /// What was read so far.
    fn counts(&self) -> Counts;

    /// Bytes read so far and bytes in all, for a progress bar.
    fn progress(&self) -> (u64, u64);

    /// The files read, with the hashes that they had when they were opened: a file that changes after that is an error of
    /// [`next_batch`](Self::next_batch).
    ///
    /// # Errors
    /// [`DataError::Io`] if a file cannot be read.
    fn files(&self) -> Result<Vec<FileInfo>, DataError>;
}

/// A batch as the model takes it.
#[derive(Debug)]
pub struct InputBatch {
    /// Position in the run, from 0.
    pub index: u64,
    /// The samples; row `i` of each input that is not given whole is sample `i`.
    pub samples: Vec<Sample>,
    /// The inputs: for text `input_ids` and what else the model takes, `[batch, token]`.
    pub inputs: NamedTensors,
    /// Names of the inputs that are given whole with every batch: their axis 0 does not run over the samples.
    pub whole: Vec<String>,
    /// Rows after those of the samples, copies of the last one, where the model takes no smaller batch.
    pub filler: usize,
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Texts, or other samples, handed out.
    pub texts: u64,
    /// Tokens handed out, padding excluded.
    pub tokens: u64,
    /// Texts cut because they were too long.
    pub truncated_texts: u64,
    /// Tokens lost by that.
    pub truncated_tokens: u64,
    /// Empty records, which were left out.
    pub skipped_empty: u64,
}
