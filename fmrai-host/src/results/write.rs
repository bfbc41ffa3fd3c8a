//! Files that are either complete or absent.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempPath};

use super::folder::TEMPORARY;

/// A file that could not be written; what stood there before still does.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}", path = path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// Writes a file under a temporary name beside it, then renames it. Makes the folder if it is absent.
///
/// # Errors
/// [`WriteError`] names the file. No part of the new content is left behind.
pub fn write(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    write_with(path, |file| file.write_all(content))
}

/// As [`write()`], but `content` writes into the file itself, so that it need not be in memory as a whole.
///
/// # Errors
/// [`WriteError`] names the file. No part of the new content is left behind.
pub fn write_with<T>(
    path: &Path,
    content: impl FnOnce(&mut std::fs::File) -> io::Result<T>,
) -> Result<T, WriteError> {
    try_write(path, content).map_err(|source| WriteError { path: path.to_owned(), source })
}

/// As [`write_with`], where something else opens the file: `content` is told where it stands until it is complete.
///
/// # Errors
/// Those of `content`; [`WriteError`] names the file. No part of the new content is left behind.
pub(super) fn write_at<E: From<WriteError>>(
    path: &Path,
    content: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let fail = |source| WriteError { path: path.to_owned(), source };
    let (file, temporary) = begin(path).map_err(fail)?;
    content(&temporary)?;
    Ok(end(&file, temporary, path).map_err(fail)?)
}

fn try_write<T>(path: &Path, content: impl FnOnce(&mut std::fs::File) -> io::Result<T>) -> io::Result<T> {
    let (mut file, temporary) = begin(path)?;
    let answer = content(&mut file)?;
    end(&file, temporary, path)?;
    Ok(answer)
}

/// An empty file beside its place, which goes when its name is dropped.
fn begin(path: &Path) -> io::Result<(std::fs::File, TempPath)> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut builder = Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666); // less what the umask takes
    #[cfg(unix)]
    builder.permissions(mode);
    let file = builder.tempfile_in(folder).map_err(|e| io::Error::new(e.kind(), bare(&e)))?;
    Ok(file.into_parts())
}

/// Moves a file that is complete to its place.
fn end(file: &std::fs::File, mut temporary: TempPath, path: &Path) -> io::Result<()> {
    file.sync_data()?;
    std::fs::rename(&temporary, path)?;
    temporary.disable_cleanup(true);
    Ok(())
}

/// Removes a file, if it is there.
///
/// # Errors
/// [`WriteError`] names the file.
pub(crate) fn remove(path: &Path) -> Result<(), WriteError> {
    match std::fs::remove_file(path) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            let source = io::Error::new(error.kind(), format!("what is there cannot be removed: {error}"));
            Err(WriteError { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// The system's message without the temporary path that `tempfile` adds.
fn bare(error: &io::Error) -> String {
    let message = error.to_string();
    message.split_once(" at path ").map_or(message.clone(), |(bare, _)| bare.to_owned())
}

/// Writes a document as indented JSON that ends in a line feed.
///
/// # Errors
/// [`WriteError`] names the file.
pub fn write_json(path: &Path, document: &impl serde::Serialize) -> Result<(), WriteError> {
    write(path, json_text(path, document)?.as_bytes())
}

/// A document as [`write_json`] writes it to `path`.
pub(crate) fn json_text(path: &Path, document: &impl serde::Serialize) -> Result<String, WriteError> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|e| WriteError { path: path.to_owned(), source: e.into() })?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.json");
        write(&path, b"one").unwrap();
        write_json(&path, &serde_json::json!({"a": 1})).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n  \"a\": 1\n}\n");
        assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_names_the_file_and_leaves_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        std::fs::create_dir_all(taken.join("full")).unwrap();
        let error = write(&taken, b"x").unwrap_err(); // a folder stands where the file should be
        assert!(error.to_string().starts_with(&format!("cannot write {}: ", taken.display())), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
