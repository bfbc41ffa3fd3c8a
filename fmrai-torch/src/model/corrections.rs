//! The file beside a model that corrects what finders say of it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fmrai_core::graph::Graph;
use fmrai_core::structure::{Structure, StructureFile};

use super::error::ModelError;
use crate::files::FileInfo;

/// The file that may correct the structure of a model: `structure.json` in its folder, `model.structure.json` beside `model.pt2`.
#[must_use]
pub fn structure_file(model: &Path) -> PathBuf {
    if model.is_dir() { model.join("structure.json") } else { model.with_extension("structure.json") }
}

/// Puts what the file beside a model says in the place of what was found in its graph; which file that was, if there is one.
///
/// # Errors
/// [`ModelError::File`] says what is wrong with the file.
pub fn correct_structure(
    graph: &dyn Graph,
    structure: &mut Structure,
    model: &Path,
) -> Result<Option<FileInfo>, ModelError> {
    let path = structure_file(model);
    let wrong = |what: String| ModelError::File { path: path.clone(), what };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(wrong(error.to_string())),
    };
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let info = FileInfo::read(&path, &name).map_err(|error| wrong(error.to_string()))?;
    let file = StructureFile::parse(&text).map_err(|error| wrong(error.to_string()))?;
    file.apply(graph, structure).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(info))
}
