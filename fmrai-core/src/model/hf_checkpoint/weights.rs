//! The weights of a checkpoint: which files hold them, which the encoder needs, and what is left over.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use super::safetensors::{NonFinite, SafetensorsFile};
use crate::model::files::Hasher;
use crate::model::{FileInfo, ModelError, NonFiniteWeight};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// What an architecture asks of the weights in a checkpoint.
pub(super) trait Needs {
    /// The architecture, for messages.
    fn model_type(&self) -> &str;

    /// What a weight that a file calls `name` is called here.
    fn canonical(&self, name: &str) -> String;

    /// Names and shapes of the weights it needs. `found` tells whether a checkpoint has a weight: parts that it may
    /// lack are needed where it has them.
    fn needed(&self, found: &dyn Fn(&str) -> bool) -> Vec<(String, Vec<i64>)>;

    /// True for weights that a checkpoint may hold and that have no use here, such as heads for other tasks.
    fn is_unused(&self, name: &str) -> bool;
}

/// The weights of a model by their names.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) tensors: BTreeMap<String, Tensor>,
    pub(super) files: Vec<FileInfo>,
    /// Names, as in the files, of weights that the model does not use.
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
    /// Reads the weights that `needs` calls for from the files in `folder`, as elements of `kind` on `device`.
    pub(super) fn load(
        folder: &Path,
        needs: &dyn Needs,
        kind: Kind,
        device: Device,
    ) -> Result<Self, ModelError> {
        let (names, mut files) = weight_files(folder)?;
        let opened = names
            .iter()
            .map(|name| SafetensorsFile::open(&folder.join(name)))
            .collect::<Result<Vec<_>, _>>()?;
        let (wanted, unused) = sort_out(folder, needs, &names, &opened)?;

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
                kind,
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

/// Compares what the files hold with what the model needs.
fn sort_out(
    folder: &Path,
    needs: &dyn Needs,
    names: &[String],
    files: &[SafetensorsFile],
) -> Result<(BTreeMap<String, Found>, Vec<String>), ModelError> {
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for (file, tensors) in files.iter().enumerate() {
        for (name, info) in tensors.tensors() {
            let shape = info.shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect();
            match found.entry(needs.canonical(name)) {
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

    let mut missing = Vec::new();
    let mut misshapen = Vec::new();
    let mut wanted = BTreeMap::new();
    for (name, needed) in needs.needed(&|name| found.contains_key(name)) {
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
    let (unused, unknown): (Vec<_>, Vec<_>) = found.into_iter().partition(|(name, _)| needs.is_unused(name));
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
    Err(ModelError::Weights {
        path,
        architecture: needs.model_type().to_owned(),
        missing,
        unknown,
        misshapen,
    })
}
