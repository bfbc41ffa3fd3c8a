//! Models: where they come from, and what a loaded one can do.

mod archives;
mod error;
mod exported_program;
pub(crate) mod files;
mod footprint;
mod generate;
mod hf_checkpoint;
mod input;
mod torchscript;
mod weights;

pub use error::ModelError;
pub use exported_program::ExportedProgram;
pub use footprint::{Footprint, ModelState};
pub use generate::{GenerateConfig, GenerateError, Generated, Stopped, generate};
pub use hf_checkpoint::{Cache, CausalLm, HfCheckpoint, Precision};
pub use input::{Axis, InputSpec};
pub use torchscript::TorchScript;
pub use weights::LoadedWeights;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::data::Tokenizer;
use crate::graph::RecordedGraph;
use crate::tensor::DType;

/// What a plan says of a model. Cheap; owns no tensor.
#[typetag::serde(tag = "type")]
pub trait ModelSource: fmt::Debug + Send + Sync {
    /// Reads the model.
    ///
    /// # Errors
    /// [`ModelError`] names the file at fault, what was found in it and what is needed.
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError>;
}

/// What a model source needs from its host.
#[derive(Debug, Clone, Copy)]
pub struct LoadContext<'a> {
    /// Folder that relative paths start from.
    pub base: &'a Path,
    /// Where the weights go.
    pub device: Device,
}

/// A kind of model or data source that a plan can name.
#[derive(Debug, Clone, Copy)]
pub struct SourceEntry {
    /// The `type` in a plan.
    pub name: &'static str,
    /// One line that says what it reads.
    pub summary: &'static str,
    /// JSON Schema of its fields, without the `type` field.
    pub schema: fn() -> serde_json::Value,
}

/// All model sources, sorted by name.
pub const SOURCES: &[SourceEntry] = &[exported_program::ENTRY, hf_checkpoint::ENTRY, torchscript::ENTRY];

/// Named tensors, as a model takes and returns them, e.g. `input_ids [batch, token]` of int64.
#[derive(Debug, Default)]
pub struct NamedTensors(pub Vec<(String, Tensor)>);

impl NamedTensors {
    /// The tensor called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, t)| t)
    }
}

/// A loaded model, in evaluation mode.
pub trait Model {
    /// What is known of it.
    fn info(&self) -> &ModelInfo;

    /// Its weights and buffers by name, sharing memory with the model; sorted by name.
    fn parameters(&self) -> Vec<(String, Tensor)>;

    /// Its tokenizer, if it reads text.
    fn tokenizer(&self) -> Option<&Tokenizer>;

    /// The inputs it takes, in its own order.
    fn inputs(&self) -> Vec<InputSpec>;

    /// Its graph, where that is known before anything has run: the ids are those of a recorded pass.
    ///
    /// # Errors
    /// [`ModelError::File`] if the model's path through its operations depends on its input.
    fn graph(&self) -> Option<Result<Arc<RecordedGraph>, ModelError>> {
        None
    }

    /// What a pass may change of it other than by writing into memory, as it is now: attributes that are given other tensors,
    /// lists that grow. A [`Footprint`] sees what is written into memory by itself. The default says that there is nothing else.
    ///
    /// # Errors
    /// [`ModelError`] with what libtorch reports.
    fn state(&self) -> Result<Box<dyn ModelState + '_>, ModelError> {
        Ok(Box::new(footprint::NoState))
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`ModelError::Inputs`] for missing or misshapen inputs, [`ModelError::Torch`] for what libtorch reports.
    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError>;
}

const _: Option<&dyn Model> = None; // stays object-safe

/// What is known of a loaded model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelInfo {
    /// The `type` of the source it came from.
    pub source: String,
    /// Its family, e.g. `bert`.
    pub architecture: String,
    /// Where it was read from. Not written: it differs between machines, and need not be UTF-8.
    #[serde(skip)]
    pub path: PathBuf,
    /// The files read.
    pub files: Vec<FileInfo>,
    /// Number of weights.
    pub parameters: u64,
    /// Element type it computes in.
    pub dtype: DType,
    /// Longest input, in tokens; `None` if there is no limit.
    pub max_tokens: Option<usize>,
    /// Weights in the files that the model does not use, e.g. a head for another task.
    pub unused_weights: Vec<String>,
    /// Weights that hold NaN or infinity.
    pub non_finite_weights: Vec<NonFiniteWeight>,
    /// What else a user should know of its files: copies of weights that do not count, an adapter that is not applied, ...
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its path, relative to the model or data path where it lies below.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, lower-case hexadecimal.
    pub sha256: String,
}

impl FileInfo {
    /// Reads the file at `path` and calls it `name`.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(path: &Path, name: &str) -> std::io::Result<Self> {
        files::file_info(path, name)
    }
}

/// A weight with elements that are not numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NonFiniteWeight {
    /// Name of the weight.
    pub name: String,
    /// How many of its elements are NaN.
    pub nan: u64,
    /// How many of its elements are infinite.
    pub infinite: u64,
}

impl NonFiniteWeight {
    /// What is not finite in `tensor`; `None` if everything is, or if its elements are no real numbers.
    pub(crate) fn of(name: &str, tensor: &Tensor) -> Option<Self> {
        if !DType::of(tensor).is_float() || tensor.numel() == 0 {
            return None;
        }
        let count = |what: Result<Tensor, tch::TchError>| -> u64 {
            let sum = what.and_then(|t| t.f_sum(tch::Kind::Int64)).and_then(i64::try_from);
            sum.ok().and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
        };
        let (nan, infinite) = (count(tensor.f_isnan()), count(tensor.f_isinf()));
        (nan + infinite > 0).then(|| Self { name: name.to_owned(), nan, infinite })
    }
}

/// Where the elements of a tensor lie; `None` for tensors that have no such place.
fn address(tensor: &Tensor) -> Option<usize> {
    let dense = tensor.defined() && !tensor.is_sparse() && !tensor.is_mkldnn();
    dense.then(|| tensor.data_ptr() as usize)
}
