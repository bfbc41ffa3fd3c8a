//! Data: where samples come from, and how they become batches.

mod batching;
mod csv;
mod error;
mod fit;
mod ids;
mod jsonl;
mod probe;
mod records;
mod steady;
mod surface;
mod tensors;
mod text;
mod tokenizer;
mod vocabulary_files;

pub use csv::Csv;
pub use error::DataError;
pub use ids::unknown_token;
pub(crate) use ids::{Outside, outside};
pub use jsonl::JsonLines;
pub use probe::probe;
pub use tensors::TensorFiles;
pub use text::TextLines;
pub use tokenizer::{Encoded, Tokenizer, TokenizerError};
pub(crate) use tokenizer::{FoundTokenizer, no_tokenizer};

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::batch::Sample;
use crate::model::{FileInfo, InputSpec, NamedTensors, SourceEntry};

/// What a plan says of the data. Cheap; owns no tensor.
#[typetag::serde(tag = "type")]
pub trait DataSource: fmt::Debug + Send + Sync {
    /// Opens the data for reading from the start.
    ///
    /// # Errors
    /// [`DataError`] names the file and line at fault, what was found and what is needed.
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError>;
}

/// What a data source needs from its host.
#[derive(Debug, Clone, Copy)]
pub struct DataContext<'a> {
    /// Folder that relative paths start from.
    pub base: &'a Path,
    /// The model's tokenizer, if it has one.
    pub tokenizer: Option<&'a Tokenizer>,
    /// Longest input of the model, in tokens.
    pub max_tokens: Option<usize>,
    /// The inputs that the model takes.
    pub inputs: &'a [InputSpec],
}

/// All data sources, sorted by name.
pub const SOURCES: &[SourceEntry] = &[csv::ENTRY, jsonl::ENTRY, tensors::ENTRY, text::ENTRY];

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
