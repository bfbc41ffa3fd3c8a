//! The weights of a checkpoint: which files hold them, which the encoder needs, and what is left over.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tch::{Device, Tensor};

use super::config::EncoderConfig;
use super::safetensors::{NonFinite, SafetensorsFile};
use crate::model::files::Hasher;
use crate::model::{FileInfo, ModelError, NonFiniteWeight};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The weights of an encoder by their names without prefix.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) tensors: BTreeMap<String, Tensor>,
    pub(super) files: Vec<FileInfo>,
    /// Names, as in the files, of weights that are no part of the encoder.
    pub(super) unused: Vec<String>,
    pub(super) non_finite: Vec<NonFiniteWeight>,
}

/// Where a weight lies.
struct Found {
    file: usize,
    /// Its name in the file.
    name: String,
    shape: Vec<i64>,
}

impl Weights {
    /// Reads the weights that `config` calls for from the files in `folder`.
    pub(super) fn load(folder: &Path, config: &EncoderConfig, device: Device) -> Result<Self, ModelError> {
        let (names, mut files) = weight_files(folder)?;
        let opened = names
            .iter()
            .map(|name| SafetensorsFile::open(&folder.join(name)))
            .collect::<Result<Vec<_>, _>>()?;
        let (wanted, unused) = sort_out(folder, config, &names, &opened)?;

        let mut tensors = BTreeMap::new();
        let mut non_finite = Vec::new();
        for (index, (file, name)) in opened.into_iter().zip(&names).enumerate() {
            let canonical: BTreeMap<&str, &str> = wanted
                .iter()
                .filter(|(_, found)| found.file == index)
                .map(|(canonical, found)| (found.name.as_str(), canonical.as_str()))
                .collect();
            let info = file.read(
                name,
                |name| canonical.contains_key(name),
                |name, tensor, found| {
                    let NonFinite { nan, infinite } = found;
                    if nan + infinite > 0 {
                        non_finite.push(NonFiniteWeight { name: name.to_owned(), nan, infinite });
                    }
                    if let Some(canonical) = canonical.get(name) {
                        tensors.insert((*canonical).to_owned(), tensor.f_to_device(device)?);
                    }
                    Ok(())
                },
            )?;
            files.push(info);
        }
        non_finite.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { tensors, files, unused, non_finite })
    }
}

/// Names of the files that hold the weights, and the index file where there is one.
fn weight_files(folder: &Path) -> Result<(Vec<String>, Vec<FileInfo>), ModelError> {
    if folder.join(SINGLE).exists() {
        return Ok((vec![SINGLE.to_owned()], Vec::new()));
    }
    let path = folder.join(INDEX);
    if !path.exists() {
        let pickle = folder.join("pytorch_model.bin").exists();
        let hint = if pickle { "; pytorch_model.bin is a pickle, save the model as safetensors" } else { "" };
        return Err(ModelError::File {
            path: folder.to_owned(),
            what: format!("has neither {SINGLE} nor {INDEX}{hint}"),
        });
    }
    let bytes = std::fs::read(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
    let shards = shards(&bytes).map_err(|what| ModelError::File { path, what })?;
    let mut hasher = Hasher::new();
    hasher.update(&bytes);
    Ok((shards, vec![hasher.finish(INDEX)]))
}

/// The files that an index names, sorted.
fn shards(index: &[u8]) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index = serde_json::from_slice(index).map_err(|e| format!("broken index of shards: {e}"))?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    let plain = |name: &str| Path::new(name).file_name().is_some_and(|file| file == name);
    if let Some(name) = shards.iter().find(|name| !plain(name)) {
        return Err(format!("`weight_map` names {name:?}, a file of the same folder is needed"));
    }
    if shards.is_empty() {
        return Err("`weight_map` is empty".to_owned());
    }
    Ok(shards.into_iter().collect())
}

/// Compares what the files hold with what the encoder needs.
fn sort_out(
    folder: &Path,
    config: &EncoderConfig,
    names: &[String],
    files: &[SafetensorsFile],
) -> Result<(BTreeMap<String, Found>, Vec<String>), ModelError> {
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for (file, tensors) in files.iter().enumerate() {
        for (name, info) in tensors.tensors() {
            let shape = info.shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect();
            let canonical = canonical(name, config.family.prefix);
            match found.entry(canonical) {
                Entry::Vacant(place) => {
                    place.insert(Found { file, name: name.to_owned(), shape });
                }
                Entry::Occupied(other) => {
                    let file_name = |index: usize| names.get(index).map_or("", String::as_str);
                    let (first, other) = (other.get(), file_name(file));
                    return Err(ModelError::File {
                        path: folder.to_owned(),
                        what: format!(
                            "two weights mean the same: {} in {} and {name} in {other}",
                            first.name,
                            file_name(first.file)
                        ),
                    });
                }
            }
        }
    }

    let pooler = config.family.pooler && found.keys().any(|name| name.starts_with("pooler."));
    let mut missing = Vec::new();
    let mut misshapen = Vec::new();
    let mut wanted = BTreeMap::new();
    for (name, needed) in config.weights(pooler) {
        match found.remove(&name) {
            None => missing.push(name),
            Some(weight) if weight.shape != needed => {
                misshapen.push(format!("{}: found {:?}, needed {needed:?}", weight.name, weight.shape));
            }
            Some(weight) => {
                wanted.insert(name, weight);
            }
        }
    }
    let known = |name: &str| {
        let heads = config.family.unused;
        heads.iter().any(|head| name.starts_with(head))
            || (!config.family.pooler && name.starts_with("pooler."))
    };
    let (unused, unknown): (Vec<_>, Vec<_>) = found.into_iter().partition(|(name, _)| known(name));
    let file_names = |weights: Vec<(String, Found)>| {
        let mut names: Vec<_> = weights.into_iter().map(|(_, weight)| weight.name).collect();
        names.sort_unstable();
        names
    };
    let unknown = file_names(unknown);
    if missing.is_empty() && unknown.is_empty() && misshapen.is_empty() {
        return Ok((wanted, file_names(unused)));
    }
    missing.sort_unstable();
    let path = PathBuf::from(folder);
    Err(ModelError::Weights { path, architecture: config.model_type.clone(), missing, unknown, misshapen })
}

/// The name without prefix, and in the words of today: the oldest checkpoints call a LayerNorm's weight gamma and
/// its bias beta.
fn canonical(name: &str, prefix: &str) -> String {
    let name = name.strip_prefix(prefix).unwrap_or(name);
    match name.rsplit_once('.') {
        Some((module, "gamma")) => format!("{module}.weight"),
        Some((module, "beta")) => format!("{module}.bias"),
        _ => name.to_owned(),
    }
}
