//! What a file is.

use std::path::Path;

use super::ModelError;

/// The kind of model in a file or folder, as plans call it: told by its content, not by its name. `None` for anything else,
/// such as a plan.
///
/// # Errors
/// - [`ModelError::Io`] if it cannot be read.
/// - [`ModelError::File`] for files that hold a model which cannot be run, with what to do about it.
pub fn kind_of(path: &Path) -> Result<Option<&'static str>, ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(io)?.is_dir() {
        return Ok(Some("hf_checkpoint"));
    }
    let Ok(zip) = zip::ZipArchive::new(std::fs::File::open(path).map_err(io)?) else {
        return Ok(None);
    };
    let names: Vec<&str> = zip.file_names().collect();
    let has = |end: &str| names.iter().any(|name| name.ends_with(end));
    if has("archive_format") || has("serialized_exported_program.json") {
        return Ok(Some("exported_program"));
    }
    if has("constants.pkl") && has("data.pkl") {
        return Ok(Some("torchscript"));
    }
    let what = if has("data.pkl") {
        "is a checkpoint of torch.save, which has weights but no program: export the model with torch.export"
    } else {
        "is a zip archive, but no exported program and no TorchScript"
    };
    Err(ModelError::File { path: path.to_owned(), what: what.to_owned() })
}
