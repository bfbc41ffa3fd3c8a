//! What a plan says of an exported program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A `.pt2` archive of `torch.export.save`.
///
/// Inputs and outputs have the names of the Python function: keyword or parameter names, nested ones with their path
/// (`past.0.1`); outputs without names are `output`, or `output.0`, `output.1`, ... Sizes that were fixed at export stay
/// fixed. Each run starts from the state of the archive, unless `keep_state` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportedProgram {
    /// The archive, relative to the plan.
    pub path: PathBuf,
    /// Folder of the tokenizer for texts, relative to the plan: tokenizer.json, vocab.txt, or vocab.json with merges.txt; by
    /// default that of the archive, if it has one.
    #[serde(default)]
    pub tokenizer: Option<PathBuf>,
    /// Inputs of the program that take a tensor of another name from the data, e.g. `{"decoder_input_ids": "input_ids"}`.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Which program of the archive, where it holds several.
    #[serde(default)]
    pub program: Option<String>,
    /// Whether buffers keep what a run writes into them, e.g. a key-value cache, for the next run. Results then depend
    /// on the order of the batches.
    #[serde(default)]
    pub keep_state: bool,
}
