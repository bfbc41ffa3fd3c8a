//! What an archive of a model is, where it is not the one that is needed.

use std::collections::BTreeSet;
use std::path::Path;

use fmrai_core::file_kind::FileKind;

/// What a file is that cannot be opened as a zip archive, as the end of a message; empty where its first bytes do not tell.
pub(crate) fn not_zip(path: &Path) -> String {
    match FileKind::at(path) {
        None => String::new(),
        Some(FileKind::Zip) => "; it begins as one, so it is cut off or damaged: copy it again".to_owned(),
        Some(kind) => format!("; it is {kind}"),
    }
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
