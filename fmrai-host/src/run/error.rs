//! Why values are no run.

use fmrai_core::abi::ConfigRefused;

use crate::plan::Bytes;

/// Why a [`Run`](super::Run) that was put together cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It has no model or no data.
    #[error("a run needs {what}")]
    Missing {
        /// `a model` or `data`.
        what: &'static str,
    },
    /// It has neither analyses nor a capture.
    #[error("a run needs at least one analysis, or something to capture")]
    Nothing,
    /// What cannot be called so.
    #[error(
        "{name:?} cannot be the name of an analysis: needed are letters, digits, `.`, `_` and `-`, at most 100, the first a letter or digit, and no name of the files of results or of devices"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Two analyses have one name.
    #[error("two analyses are called {name:?}, whatever the case: give each its own name")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A config is refused.
    #[error("analysis {analysis:?}: {source}")]
    Config {
        /// The name of the analysis.
        analysis: String,
        /// The field, and what is wrong with it.
        source: ConfigRefused,
    },
    /// Something cannot be written down for the results.
    #[error("{what} cannot be written to the results: {message}")]
    Document {
        /// What it is.
        what: String,
        /// What its serialization says.
        message: String,
    },
    /// Something is asked for that needs an output folder.
    #[error("{what} needs an output folder")]
    NoOutput {
        /// What it is.
        what: &'static str,
    },
    /// A part of the data that cannot be run by itself.
    #[error("{what}")]
    Part {
        /// Why.
        what: String,
    },
    /// What cannot be done in the memory that the run may take.
    #[error(
        "{what}: more than the {limit} of `limits.memory`; allow {needed}, or make the texts shorter (`max_tokens`), the analyses fewer or the weights smaller (`dtype`)"
    )]
    Memory {
        /// What takes how much.
        what: String,
        /// What is allowed.
        limit: Bytes,
        /// What would be enough, as far as it is known.
        needed: Bytes,
    },
    /// A batch for which there is too little memory, and which cannot be cut.
    #[error("the batch cannot be cut into pieces for which there is memory: {what}")]
    Whole {
        /// Why it cannot be cut.
        what: String,
    },
    /// It was stopped, and kept nothing.
    #[error("stopped after {batches} batches")]
    Stopped {
        /// Batches absorbed.
        batches: u64,
    },
}
