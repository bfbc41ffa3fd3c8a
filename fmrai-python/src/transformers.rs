//! Folders of Hugging Face models, as plans name them: loaded by the transformers of the process.

use std::path::PathBuf;
use std::sync::Arc;

use fmrai_torch::model::{LoadContext, Model, ModelError, ModelSource};
use pyo3::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::PyModel;
use crate::tokenizer::read;

/// A folder of a Hugging Face model. The program reads it itself; in a process of Python the library `transformers` does, so any model that it
/// knows can be named.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transformers {
    /// The folder.
    path: PathBuf,
    /// How attention is computed: `eager` (the default here, since all batches then run the same operations), or `fused`.
    #[serde(default)]
    attention: Attention,
    /// Element type that the model computes in: `float32` (the default), `bfloat16` or `float16`.
    #[serde(default)]
    dtype: Precision,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Attention {
    #[default]
    Eager,
    Fused,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Precision {
    #[default]
    Float32,
    Bfloat16,
    Float16,
}

fmrai_torch::register_model_source!(
    Transformers,
    name: "hf_checkpoint",
    summary: "a folder of a Hugging Face model, loaded by the transformers of this process"
);

impl ModelSource for Transformers {
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        let path = context.base.join(&self.path);
        let wrong = |what: String| ModelError::File { path: path.clone(), what };
        if !path.is_dir() {
            return Err(wrong("it is no folder".to_owned()));
        }
        let attention = match self.attention {
            Attention::Eager => "eager",
            Attention::Fused => "sdpa",
        };
        let dtype = match self.dtype {
            Precision::Float32 => "float32",
            Precision::Bfloat16 => "bfloat16",
            Precision::Float16 => "float16",
        };
        let load = |py: Python<'_>| -> PyResult<PyModel> {
            let loader = py.import("fmrai._transformers")?;
            let (bridge, rows): (Py<PyAny>, Option<u32>) =
                loader.call_method1("load", (&path, dtype, attention))?.extract()?;
            // The same tokenizer as that of the program; a model without one is for ready tensors.
            let tokenizer = rows.and_then(|rows| read(&path, rows).ok()).map(Arc::new);
            PyModel::of(py, bridge, tokenizer)
        };
        let model = Python::attach(load).map_err(|error| wrong(error.to_string()))?;
        Ok(Box::new(model.of_source("hf_checkpoint", &path)))
    }
}
