//! Which files of an output folder are this program's.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use fmrai_core::activations::{BATCHES, GRAPH, MANIFEST, VOCABULARY};
use serde_json::Value;

use super::error::FolderError;
use super::names::{CHECKPOINT, PLAN, RUN, STATE, SUMMARY, is_temporary};
use super::owner::Owner;

/// Folder of the activations in an output folder.
pub const ACTIVATIONS: &str = "activations";

/// The files that earlier runs have left in `folder`: what its summary lists, and what its owner tells of runs that did
/// not end.
///
/// # Errors
/// [`FolderError::Io`] if a file is there and cannot be read.
pub(super) fn owned(folder: &Path) -> Result<BTreeSet<PathBuf>, FolderError> {
    let summary = read_json(&folder.join(SUMMARY))?;
    let mut files = summary.as_ref().map(listed).unwrap_or_default();
    let mut captures = summary.is_some_and(|summary| summary.get("activations").is_some());
    if let Some(owner) = Owner::read(folder)? {
        files.extend(owner.files.into_iter().filter(|path| below(path)));
        captures |= owner.captures;
    }
    let checkpoint = read_json(&folder.join(STATE).join(CHECKPOINT))?.unwrap_or_default();
    captures |= checkpoint["identity"]["plan"].get("capture").is_some();
    if captures {
        files.extend(activations(folder));
    }
    Ok(files)
}

/// The files of a run with this summary, without its activations; paths that leave the folder are not ours.
fn listed(summary: &Value) -> BTreeSet<PathBuf> {
    let analyses = summary.get("analyses").and_then(Value::as_array).into_iter().flatten();
    let files = analyses.filter_map(|a| a.get("files")).filter_map(Value::as_array).flatten();
    let own = summary.get("files").and_then(Value::as_array).into_iter().flatten();
    let files = files.chain(own).filter_map(Value::as_str).chain([PLAN, RUN, SUMMARY]);
    files.map(PathBuf::from).filter(|path| below(path)).collect()
}

/// The files of activations, relative to the output folder, the manifest first.
pub(super) fn activations(output: &Path) -> Vec<PathBuf> {
    let folder = Path::new(ACTIVATIONS);
    let mut files = [MANIFEST, GRAPH, VOCABULARY].map(|name| folder.join(name)).to_vec();
    let batches = std::fs::read_dir(output.join(folder).join(BATCHES)).into_iter().flatten().flatten();
    let mut batches: Vec<String> =
        batches.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    batches.sort();
    let ours = |name: &String| {
        let number = name.strip_suffix(".safetensors").unwrap_or_default();
        number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit()) || is_temporary(name)
    };
    files.extend(batches.iter().filter(|name| ours(name)).map(|name| folder.join(BATCHES).join(name)));
    files.retain(|file| output.join(file).is_file());
    files
}

/// True for a relative path that stays below its folder.
fn below(path: &Path) -> bool {
    path.components().all(|c| matches!(c, Component::Normal(_)))
}

/// A JSON file; `None` if it is absent, or something else.
pub(super) fn read_json(path: &Path) -> Result<Option<Value>, FolderError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(FolderError::Io { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_that_leave_the_folder_are_not_ours() {
        let files = ["a/tables/old.csv", "a/summary.json", "../outside", "/etc/hostname"];
        let summary = json!({"analyses": [{"name": "a", "files": files}]});
        let listed: Vec<_> = listed(&summary).into_iter().collect();
        let ours = ["a/summary.json", "a/tables/old.csv", "plan.json", "run.json", "summary.json"];
        assert_eq!(listed, ours.map(PathBuf::from));
    }
}
