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

    /// Passes over the next `count` batches, and says how many there were: the one after them has its own index. What is passed over may be
    /// counted or not. Here each is read and dropped; sources that can do without do better.
    ///
    /// # Errors
    /// As [`next_batch`](Self::next_batch).
    fn pass_over(&mut self, count: u64) -> Result<u64, DataError> {
        let mut passed = 0;
        while passed < count && self.next_batch()?.is_some() {
            passed += 1;
        }
        Ok(passed)
    }

    /// From now on leaves out records that are refused, instead of giving an error: those that are not what they should be, and texts that the
    /// tokenizer or the model rejects. What ends a file early stays an error. Sources for which this makes no sense do as before.
    fn leave_out_refused(&mut self) {}

    /// The records that were left out since this was last called: those that stood among the batches handed out.
    fn take_refused(&mut self) -> Vec<RefusedRecord> {
        Vec::new()
    }

    /// What was handed out so far.
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

/// A record that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Where it is, as `file:line`, and what is wrong with it.
    pub what: String,
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

impl Counts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// What has been counted since it was `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    fn with(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            texts: of(self.texts, other.texts),
            tokens: of(self.tokens, other.tokens),
            truncated_texts: of(self.truncated_texts, other.truncated_texts),
            truncated_tokens: of(self.truncated_tokens, other.truncated_tokens),
            skipped_empty: of(self.skipped_empty, other.skipped_empty),
        }
    }
}
