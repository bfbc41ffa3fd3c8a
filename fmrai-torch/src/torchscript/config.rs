//! What a plan says of a TorchScript module.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file of `torch.jit.save`.
///
/// PyTorch has deprecated TorchScript in favour of `torch.export`; use it for models that exist in no other form. A traced module
/// has the choices and often the sizes of its example baked in. Inputs have the names of `forward`'s parameters. Outputs
/// are `output`, keys of a dictionary, fields of a named tuple, or positions (`0`, `1`) of a tuple. The module runs in
/// evaluation mode, without profiling and fusing, so that its graph is the same each time; tasks of `torch.jit.fork` run at once, where
/// they are forked. What a pass writes into attributes and buffers stays for the next one. The file holds code that is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TorchScript {
    /// The file, relative to the plan.
    pub path: PathBuf,
    /// Folder of the tokenizer for texts, relative to the plan: tokenizer.json, vocab.txt, or vocab.json with merges.txt; by
    /// default that of the file, if it has one.
    #[serde(default)]
    pub tokenizer: Option<PathBuf>,
    /// Inputs of the module that take a tensor of another name from the data, e.g. `{"x": "pixel_values"}`.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
}
