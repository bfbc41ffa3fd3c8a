//! What is removed from an output folder besides results that were replaced.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fmrai_core::activations::{BATCHES, MANIFEST};
use serde_json::Value;

use super::listing::ACTIVATIONS;
use super::names::{CHECKPOINT, LOCK, OWNER, STAGED, STATE, SUMMARY, is_ours_in_state, is_temporary};
use crate::results::{WriteError, remove};

/// Removes temporary files wherever a run of this plan, or one that left these files, may have left them.
pub(super) fn temporaries(output: &Path, plan: &Value, files: &BTreeSet<PathBuf>) -> Result<(), WriteError> {
    let mut folders: BTreeSet<PathBuf> = ["", STATE, ACTIVATIONS].into_iter().map(PathBuf::from).collect();
    folders.insert(Path::new(ACTIVATIONS).join(BATCHES));
    folders.extend(files.iter().filter_map(|file| file.parent()).map(Path::to_owned));
    let analyses = plan.get("analyses").and_then(Value::as_array).into_iter().flatten();
    for name in analyses.filter_map(|analysis| analysis["name"].as_str()) {
        folders.extend(["", "tables", "figures"].map(|below| Path::new(name).join(below)));
    }
    for folder in folders {
        for name in names(&output.join(&folder)).filter(|name| is_temporary(name)) {
            remove(&output.join(&folder).join(name))?;
        }
    }
    Ok(())
}

/// Takes away what makes old results look complete: the summary of the run, then those of its parts.
pub(super) fn retire(output: &Path, files: &BTreeSet<PathBuf>) -> Result<(), WriteError> {
    remove(&output.join(SUMMARY))?;
    let index = [SUMMARY, MANIFEST].map(|name| Some(OsStr::new(name)));
    let parts = files.iter().filter(|file| index.contains(&file.file_name()));
    parts.into_iter().try_for_each(|file| remove(&output.join(file)))
}

/// Removes what an unfinished run has kept, the document that names the rest first; the folder stays taken.
pub(super) fn drop_state(output: &Path) -> Result<(), WriteError> {
    let state = output.join(STATE);
    remove(&state.join(CHECKPOINT))?;
    remove_staged(output)?;
    let names =
        names(&state).filter(|name| is_ours_in_state(name) && ![LOCK, OWNER].contains(&name.as_str()));
    names.into_iter().try_for_each(|name| remove(&state.join(name)))
}

/// Removes results that were not moved to their places.
pub(super) fn remove_staged(output: &Path) -> Result<(), WriteError> {
    let path = output.join(STATE).join(STAGED);
    match std::fs::remove_dir_all(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(WriteError { path, source }),
        _ => Ok(()),
    }
}

/// Removes the folder of an unfinished run, who owns it and the lock last.
pub(super) fn release(output: &Path) -> Result<(), WriteError> {
    let state = output.join(STATE);
    drop_state(output)?;
    remove(&state.join(OWNER))?;
    remove(&state.join(LOCK))?;
    match std::fs::remove_dir(&state) {
        // Somebody else has put something in.
        Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => Ok(()),
        Err(source) => Err(WriteError { path: state, source }),
        Ok(()) => Ok(()),
    }
}

/// Removes an output folder that a run has made for nothing.
pub(super) fn remove_if_empty(output: &Path, made: bool) {
    if made {
        let _ = std::fs::remove_dir(output); // stays if there is anything in it
    }
}

/// The names in a folder; none if it cannot be read.
fn names(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned())
}
