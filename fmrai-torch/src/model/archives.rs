//! What an archive of a model is, where it is not the one that is needed.

use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::path::Path;

use fmrai_core::file_kind::FileKind;
use zip::ZipArchive;

use super::ModelError;

/// What a file is that cannot be opened as a zip archive, as the end of a message; empty where its first bytes do not tell.
pub(crate) fn not_zip(path: &Path) -> String {
    match FileKind::at(path) {
        None => String::new(),
        Some(FileKind::Zip) => "; it begins as one, so it is cut off or damaged: copy it again".to_owned(),
        Some(kind) => format!("; it is {kind}"),
    }
}

/// Refuses an archive whose weights take more than `most` bytes, by the sizes of its members: such weights are in memory as long as the model is.
pub(crate) fn check_weights<R: Read + Seek>(
    path: &Path,
    zip: &mut ZipArchive<R>,
    most: Option<u64>,
) -> Result<(), ModelError> {
    let Some(most) = most else { return Ok(()) };
    let is_weight = |name: &str| {
        let folder = name.rsplit('/').nth(1);
        ["weights", "constants", "data"].map(Some).contains(&folder) && !name.ends_with(".json")
    };
    let sizes = (0..zip.len()).filter_map(|index| {
        let member = zip.by_index_raw(index).ok()?;
        is_weight(member.name()).then(|| member.size())
    });
    let bytes = sizes.fold(0, u64::saturating_add);
    if bytes <= most {
        return Ok(());
    }
    let what = format!(
        "its weights take {bytes} bytes, {most} are allowed: allow more memory, or take the model as a Hugging Face folder or GGUF file, whose \
         weights can be read again in each pass"
    );
    Err(ModelError::File { path: path.to_owned(), what })
}

/// What a zip archive with these members is, as the end of a message; empty where they do not tell.
pub(crate) fn other_archive(members: &BTreeSet<&str>) -> String {
    let all = |end: &str| !members.is_empty() && members.iter().all(|name| name.ends_with(end));
    let ends = |name: &&&str| [".pt", ".pt2", ".safetensors"].iter().any(|end| name.ends_with(end));
    if all(".npy") {
        return "; it is a .npz archive of NumPy".to_owned();
    }
    match members.iter().find(ends) {
        Some(inside) => format!("; it holds {inside}: unpack it"),
        None => String::new(),
    }
}
