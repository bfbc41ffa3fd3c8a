//! Checkpoints to test with: the reference models, and copies of them that something was done to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::structure::AttentionForm;
use fmrai_core::tensor::{TensorValue, from_safetensors};
use fmrai_models::HfCheckpoint;
use fmrai_torch::Device;
use fmrai_torch::model::{LoadContext, Model, ModelError, ModelSource, NamedTensors};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tch::{Kind, Tensor};
use tempfile::TempDir;

pub(crate) use crate::tensors::{AsTch, named};

pub(crate) const MODELS: [&str; 7] =
    ["bert", "bert-pretraining", "bert-sharded", "distilbert", "distilbert-mlm", "minilm", "roberta"];

/// Folder of the reference data.
pub(crate) fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference")
}

pub(crate) const DECODERS: [&str; 15] = [
    "gemma2",
    "gemma3",
    "gemma3-vision",
    "gpt2",
    "gpt2-scaled",
    "gpt_neox",
    "gpt_neox-sequential",
    "llama",
    "llama-dynamic",
    "llama-linear",
    "llama-llama3",
    "llama-yarn",
    "mistral",
    "qwen2",
    "qwen3",
];

/// Decoders whose weights are quantised.
pub(crate) const QUANTISED: [&str; 7] =
    ["awq", "compressed-tensors", "fbgemm_fp8", "fp8", "gptq", "gptq-8bit", "gptq-gpt2"];

/// Folder of a reference model.
pub(crate) fn model_folder(name: &str) -> PathBuf {
    let kind = match name {
        _ if DECODERS.contains(&name) => "decoders",
        _ if QUANTISED.contains(&name) => "quantised",
        _ => "models",
    };
    reference().join(kind).join(name)
}

pub(crate) fn try_load(folder: &Path, attention: AttentionForm) -> Result<Box<dyn Model>, ModelError> {
    let source = HfCheckpoint { attention, ..HfCheckpoint::new(folder) };
    source.load(&LoadContext::new(Path::new("."), Device::Cpu))
}

pub(crate) fn load(folder: &Path) -> Box<dyn Model> {
    try_load(folder, AttentionForm::Fused).unwrap_or_else(|e| panic!("{e}"))
}

/// The tensors that `expected.safetensors` of a reference model holds.
pub(crate) fn expected(name: &str) -> BTreeMap<String, TensorValue> {
    let bytes = std::fs::read(model_folder(name).join("expected.safetensors")).unwrap();
    from_safetensors(&bytes).unwrap().0.into_iter().collect()
}

/// The batch that outputs are expected of.
pub(crate) fn batch(expected: &BTreeMap<String, TensorValue>) -> NamedTensors {
    let names = ["input_ids", "attention_mask"];
    named(names.map(|name| (name, int64(&expected[name]))))
}

/// Rows of a tensor `[text, token, ..]` that belong to tokens; what stands at padding means nothing.
pub(crate) fn valid(values: &[f32], mask: &TensorValue) -> Vec<f32> {
    let mask = mask.i64().unwrap();
    let width = values.len() / mask.len();
    let rows = values.chunks_exact(width).zip(mask).filter(|(_, mask)| **mask == 1);
    rows.flat_map(|(row, _)| row.to_vec()).collect()
}

/// An int64 tensor of libtorch with the elements of `value`.
pub(crate) fn int64(value: &TensorValue) -> Tensor {
    let shape: Vec<i64> = value.shape().iter().map(|&n| i64::try_from(n).unwrap()).collect();
    Tensor::from_slice(value.i64().unwrap()).reshape(shape)
}

/// The elements of a tensor of floats.
pub(crate) fn f32s(tensor: &impl AsTch) -> Vec<f32> {
    Vec::try_from(tensor.tch().to_kind(Kind::Float).reshape([-1])).unwrap()
}

/// Named inputs, each `[batch, token]`.
pub(crate) fn inputs(all: &[(&str, &[&[i64]])]) -> NamedTensors {
    named(all.iter().map(|(name, rows)| (*name, Tensor::from_slice2(rows))))
}

/// A weight as it is stored.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Stored {
    pub(crate) fn f32(shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    pub(crate) fn values(&self) -> Vec<f32> {
        self.bytes.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()
    }
}

/// A copy of a reference model that can be changed.
pub(crate) struct Checkpoint {
    folder: TempDir,
}

impl Checkpoint {
    pub(crate) fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(model_folder(name)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.file(name), bytes).unwrap();
        self
    }

    pub(crate) fn remove(&self, name: &str) -> &Self {
        std::fs::remove_file(self.file(name)).unwrap();
        self
    }

    /// Changes a JSON file.
    pub(crate) fn json(&self, name: &str, change: impl FnOnce(&mut Value)) -> &Self {
        let mut json = serde_json::from_slice(&std::fs::read(self.file(name)).unwrap()).unwrap();
        change(&mut json);
        self.write(name, json.to_string())
    }

    /// Changes a field of config.json.
    pub(crate) fn config(&self, field: &str, value: impl Into<Value>) -> &Self {
        self.json("config.json", |json| json[field] = value.into())
    }

    /// Changes the weights of model.safetensors.
    pub(crate) fn weights(&self, change: impl FnOnce(&mut BTreeMap<String, Stored>)) -> &Self {
        let bytes = std::fs::read(self.file("model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut weights = file
            .iter()
            .map(|(name, view)| {
                let (dtype, shape, bytes) = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
                (name.to_owned(), Stored { dtype, shape, bytes })
            })
            .collect();
        change(&mut weights);
        let views = weights
            .iter()
            .map(|(name, w)| (name.as_str(), TensorView::new(w.dtype, w.shape.clone(), &w.bytes).unwrap()));
        self.write("model.safetensors", safetensors::serialize(views, None).unwrap())
    }

    /// The message of the error that loading gives, with the folder's path taken out.
    pub(crate) fn error(&self) -> String {
        match try_load(self.path(), AttentionForm::Fused) {
            Ok(_) => panic!("the checkpoint was loaded"),
            Err(error) => error.to_string().replace(&self.path().display().to_string(), "."),
        }
    }
}
