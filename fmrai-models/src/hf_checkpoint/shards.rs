//! Which files hold the weights, and which weight counts in which file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fmrai_core::file_kind::{FileKind, plain};
use fmrai_torch::files::FileInfo;
use fmrai_torch::files::Hasher;
use fmrai_torch::model::ModelError;
use serde::Deserialize;

use super::folder::{Adapter, other_weights};

pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// The files of a checkpoint's weights.
#[derive(Debug, Default)]
pub(super) struct Shards {
    /// Those that are there, sorted.
    pub(super) files: Vec<String>,
    /// Those that the index names and that are not there, sorted.
    pub(super) absent: Vec<String>,
    /// What the index says: the file that each weight is in. `None` for a single file.
    pub(super) map: Option<BTreeMap<String, String>>,
    /// The index, where there is one.
    pub(super) index: Option<FileInfo>,
    /// What a user should know of files that are not read.
    pub(super) warnings: Vec<String>,
}

impl Shards {
    /// The files of the weights in `folder`.
    pub(super) fn find(folder: &Path) -> Result<Self, ModelError> {
        let (single, path) = (folder.join(SINGLE), folder.join(INDEX));
        if single.exists() {
            let mut shards = Self { files: vec![SINGLE.to_owned()], ..Self::default() };
            if path.exists() {
                shards.warnings.push(format!("{SINGLE} is read; {INDEX} beside it and its shards are not"));
            }
            return Ok(shards);
        }
        if !path.exists() {
            let what = match Adapter::of(folder) {
                Some(adapter) => adapter.alone(folder),
                None => format!("has neither {SINGLE} nor {INDEX}{}", other_weights(folder)),
            };
            return Err(ModelError::File { path: folder.to_owned(), what });
        }
        let bytes = std::fs::read(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
        let map = parse(&bytes).map_err(|what| ModelError::File { path, what })?;
        let mut hasher = Hasher::new();
        hasher.update(&bytes);
        let named: BTreeSet<String> = map.values().cloned().collect();
        let (files, absent) = named.iter().cloned().partition(|name| folder.join(name).exists());
        let warnings = unnamed(folder, &named);
        Ok(Self { files, absent, map: Some(map), index: Some(hasher.finish(INDEX)), warnings })
    }

    /// Refuses files that stand in for the weights, such as pointers of Git LFS.
    pub(super) fn check_kinds(&self, folder: &Path) -> Result<(), ModelError> {
        for name in &self.files {
            let path = folder.join(name);
            match FileKind::at(&path) {
                None | Some(FileKind::Safetensors | FileKind::Empty | FileKind::Json) => {}
                Some(kind) => {
                    let what = format!("a safetensors file is needed, this is {kind}");
                    return Err(ModelError::File { path, what });
                }
            }
        }
        Ok(())
    }

    /// True if the weight called `name` counts in `file`.
    pub(super) fn counts(&self, name: &str, file: &str) -> bool {
        self.map.as_ref().is_none_or(|map| map.get(name).is_some_and(|named| named == file))
    }
}

/// Shards in the folder that the index does not name.
fn unnamed(folder: &Path, named: &BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("-of-") && name.ends_with(".safetensors") && !named.contains(name))
        .collect();
    names.sort_unstable();
    if names.is_empty() {
        return Vec::new();
    }
    vec![format!("{INDEX} does not name {}, which the folder holds: it is not read", names.join(", "))]
}

/// The weights that an index names, with the file of each.
fn parse(index: &[u8]) -> Result<BTreeMap<String, String>, String> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index =
        serde_json::from_slice(plain(index)?).map_err(|e| format!("broken index of shards: {e}"))?;
    let plain = |name: &str| Path::new(name).file_name().is_some_and(|file| file == name);
    if let Some(name) = index.weight_map.values().find(|name| !plain(name)) {
        return Err(format!("`weight_map` names {name:?}, a file of the same folder is needed"));
    }
    if index.weight_map.is_empty() {
        return Err("`weight_map` is empty".to_owned());
    }
    Ok(index.weight_map)
}
