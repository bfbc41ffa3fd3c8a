//! The config.json of a checkpoint.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fmrai_core::file_kind::plain;
use fmrai_torch::files::{FileInfo, Hasher};
use fmrai_torch::model::ModelError;
use serde_json::{Map, Value};

use super::folder::without_config;
use crate::transformer::{decoder, encoder};

/// A config.json that names its `model_type`.
#[derive(Debug)]
pub(super) struct ConfigFile {
    folder: PathBuf,
    path: PathBuf,
    fields: Map<String, Value>,
    model_type: String,
    file: FileInfo,
}

impl ConfigFile {
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

    pub(super) fn file(&self) -> &FileInfo {
        &self.file
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
