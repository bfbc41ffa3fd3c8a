//! What all checkpoints have: a config, weights, a tokenizer, and what is known of them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fmrai_core::file_kind::plain;
use fmrai_core::registry::Named;
use fmrai_core::tensor::DType;
use fmrai_torch::files::FileInfo;
use fmrai_torch::files::Hasher;
use fmrai_torch::model::{ModelError, ModelInfo};
use fmrai_torch::text::{FoundTokenizer, Tokenizer};
use serde_json::{Map, Value};
use tch::{Device, Tensor};

use super::folder::without_config;
use super::needs::Needs;
use super::options::Options;
use super::source::HfCheckpoint;
use super::weights::Weights;
use super::{decoder, encoder};
use crate::convert::from_tch;

/// A config.json that names its `model_type`.
#[derive(Debug)]
pub(super) struct Config {
    folder: PathBuf,
    path: PathBuf,
    fields: Map<String, Value>,
    model_type: String,
    file: FileInfo,
}

impl Config {
    /// Reads the config.json of `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| ModelError::Io { path, source }
        };
        if !std::fs::metadata(folder).map_err(io(folder))?.is_dir() {
            let what = "a folder with config.json, model.safetensors and tokenizer.json is needed".to_owned();
            return Err(ModelError::File { path: folder.to_owned(), what });
        }
        let path = folder.join("config.json");
        let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => {
                let what = format!("{source}{}", without_config(folder));
                ModelError::File { path: path.clone(), what }
            }
            _ => ModelError::Io { path: path.clone(), source },
        })?;
        let mut hasher = Hasher::new();
        hasher.update(&bytes);
        let (fields, model_type) =
            parse(&bytes).map_err(|what| ModelError::File { path: path.clone(), what })?;
        Ok(Self { folder: folder.to_owned(), path, fields, model_type, file: hasher.finish("config.json") })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    pub(super) fn model_type(&self) -> &str {
        &self.model_type
    }

    /// The result, or an error that names this file.
    pub(super) fn blame<T>(&self, result: Result<T, String>) -> Result<T, ModelError> {
        result.map_err(|what| ModelError::File { path: self.path.clone(), what })
    }
}

/// All supported values of `model_type`, sorted, for messages.
pub(super) fn supported() -> String {
    let mut names: Vec<_> = encoder::supported().chain(decoder::supported()).collect();
    names.sort_unstable();
    names.join(", ")
}

/// The fields of a config.json and its `model_type`.
fn parse(bytes: &[u8]) -> Result<(Map<String, Value>, String), String> {
    let json: Value = serde_json::from_slice(plain(bytes)?).map_err(|e| format!("malformed JSON: {e}"))?;
    let Value::Object(json) = json else { return Err("a JSON object is needed".to_owned()) };
    match json.get("model_type") {
        Some(Value::String(name)) => {
            let name = name.clone();
            Ok((json, name))
        }
        Some(other) => Err(format!("`model_type` is {other}, one of {} is needed", supported())),
        None => {
            let fields: Vec<_> = json.keys().take(8).map(String::as_str).collect();
            Err(format!(
                "no `model_type`, so this is not the config of a transformers model; its fields are {}",
                fields.join(", ")
            ))
        }
    }
}

/// A checkpoint that was read.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) info: ModelInfo,
    pub(super) weights: BTreeMap<String, Tensor>,
    pub(super) tokenizer: Option<Tokenizer>,
    pub(super) device: Device,
}

impl Checkpoint {
    /// Reads weights and tokenizer of the checkpoint that `config` belongs to.
    pub(super) fn load(
        config: &Config,
        needs: &dyn Needs,
        vocabulary: i64,
        padding: Option<i64>,
        max_tokens: Option<usize>,
        options: Options,
    ) -> Result<Self, ModelError> {
        let rows = u32::try_from(vocabulary).unwrap_or(u32::MAX);
        let padding = padding.and_then(|id| u32::try_from(id).ok());
        let FoundTokenizer { tokenizer, files: tokenizer_files, warnings } =
            Tokenizer::find(&config.folder, rows, padding)?;
        let weights = Weights::load(&config.folder, needs, options.dtype.kind(), options.device)?;
        let mut files = weights.files;
        files.push(config.file.clone());
        files.extend(tokenizer_files);
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files.dedup();
        let info = ModelInfo {
            source: HfCheckpoint::NAME.to_owned(),
            architecture: config.model_type.clone(),
            path: config.folder.clone(),
            files,
            parameters: count(&weights.tensors),
            dtype: options.dtype.into(),
            max_tokens,
            unused_weights: weights.unused,
            non_finite_weights: weights.non_finite,
            warnings: weights.warnings.into_iter().chain(warnings).collect(),
        };
        Ok(Self { info, weights: weights.tensors, tokenizer, device: options.device })
    }

    /// A model that was made in memory.
    pub(super) fn made(
        model_type: &str,
        weights: BTreeMap<String, Tensor>,
        tokenizer: Option<Tokenizer>,
        max_tokens: Option<usize>,
        device: Device,
    ) -> Self {
        let info = ModelInfo {
            source: HfCheckpoint::NAME.to_owned(),
            architecture: model_type.to_owned(),
            path: PathBuf::new(),
            files: Vec::new(),
            parameters: count(&weights),
            dtype: weights.values().next().map_or(DType::Float32, |weight| from_tch(weight).dtype()),
            max_tokens,
            unused_weights: Vec::new(),
            non_finite_weights: Vec::new(),
            warnings: Vec::new(),
        };
        Self { info, weights, tokenizer, device }
    }

    /// The weights by name, sharing memory.
    pub(super) fn parameters(&self) -> Vec<(String, fmrai_torch::Tensor)> {
        self.weights.iter().map(|(name, tensor)| (name.clone(), from_tch(tensor))).collect()
    }
}

/// Number of elements.
fn count(weights: &BTreeMap<String, Tensor>) -> u64 {
    weights.values().map(|t| t.numel() as u64).sum()
}
