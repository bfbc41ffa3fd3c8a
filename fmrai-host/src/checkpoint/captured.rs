//! Which batches an unfinished run has captured, with their hashes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::results::folder::{CAPTURED, STATE};
use crate::results::{WriteError, write};

/// A list as `sha256sum` writes and checks it: a line for each file, added once the file is there. A line that was cut short
/// by a kill or a full disk is none.
#[derive(Debug)]
pub(crate) struct Captured {
    path: PathBuf,
}

impl Captured {
    /// The list of the unfinished run in an output folder.
    pub(crate) fn of(output: &Path) -> Self {
        Self { path: output.join(STATE).join(CAPTURED) }
    }

    /// The hash of each file that was listed whole.
    ///
    /// # Errors
    /// What the system says, if the list is there and cannot be read.
    pub(crate) fn read(&self) -> std::io::Result<BTreeMap<String, String>> {
        let text = match std::fs::read(&self.path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let entry = |line: &str| {
            let (hash, file) = line.split_once("  ")?;
            let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hash.then(|| (file.to_owned(), hash.to_owned()))
        };
        Ok(whole.filter_map(entry).collect())
    }

    /// Replaces the list.
    ///
    /// # Errors
    /// [`WriteError`]; the list is then as it was.
    pub(crate) fn write(&self, files: &BTreeMap<String, String>) -> Result<(), WriteError> {
        let lines: String = files.iter().map(|(file, hash)| line(file, hash)).collect();
        write(&self.path, lines.as_bytes())
    }

    /// Adds a file that is in its place.
    ///
    /// # Errors
    /// [`WriteError`]; the file then counts as not captured.
    pub(crate) fn add(&self, file: &str, sha256: &str) -> Result<(), WriteError> {
        let add = || {
            let mut list = File::options().append(true).create(true).open(&self.path)?;
            list.write_all(line(file, sha256).as_bytes())
        };
        add().map_err(|source| WriteError { path: self.path.clone(), source })
    }
}

fn line(file: &str, sha256: &str) -> String {
    format!("{sha256}  {file}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_whole_is_listed() {
        let output = tempfile::tempdir().unwrap();
        let captured = Captured::of(output.path());
        assert!(captured.read().unwrap().is_empty());
        let (a, b) = ("ab".repeat(32), "cd".repeat(32));
        captured.write(&BTreeMap::from([("batches/0".to_owned(), a.clone())])).unwrap();
        captured.add("batches/1", &b).unwrap();
        let both = BTreeMap::from([("batches/0".to_owned(), a), ("batches/1".to_owned(), b)]);
        assert_eq!(captured.read().unwrap(), both);
        let path = output.path().join(STATE).join(CAPTURED);
        let text = std::fs::read(&path).unwrap();
        for cut in 0..text.len() {
            std::fs::write(&path, &text[..cut]).unwrap();
            let read = captured.read().unwrap();
            assert_eq!(read.len(), cut / (text.len() / 2), "{cut}");
            assert!(read.iter().all(|(file, hash)| both[file] == *hash));
        }
    }
}
