//! Activations on disk: a folder that analyses can run from instead of a model, and that any program can read.
//!
//! `manifest.json` says what was captured of which model on which data; `graph.json` is the recorded graph and
//! `vocabulary.json` the tokens of the model's tokenizer. Each batch is one safetensors file below `batches`, with its samples in the
//! file's metadata. The format is public and described in `docs/activations.md`.
//!
//! [`ActivationFolder`] reads such a folder batch by batch and touches only the tensors asked for. What is read is
//! what was captured, bit by bit: `float16` and `bfloat16` are handed out widened to `float32`, as by the tracker.

mod axes;
mod format;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use format::{
    BATCHES, BatchEntry, BatchHeader, Counted, Entries, FORMAT, GRAPH, MANIFEST, Manifest, OLDEST,
    StoredActivation, StoredAs, StoredFile, VOCABULARY, batch_file, entries,
};
pub use read::{ActivationFolder, BatchFile, StoredActivations};
pub use write::{Written, write_batch};

use std::path::PathBuf;

use crate::graph::GraphError;

/// Why stored activations could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActivationsError {
    /// A file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {what}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found and what is needed.
        what: String,
    },
    /// The stored graph is broken.
    #[error("{path}: {source}", path = path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GraphError,
    },
    /// The folder holds no finished capture.
    #[error("{path}: {what}", path = path.display())]
    NoCapture {
        /// The folder.
        path: PathBuf,
        /// What it holds instead.
        what: String,
    },
    /// A tensor that cannot be stored.
    #[error("tensor {label} has elements of type {dtype}, stored are {}", format::STORABLE)]
    Unstorable {
        /// What it is called.
        label: String,
        /// Its element type.
        dtype: crate::tensor::DType,
    },
}
