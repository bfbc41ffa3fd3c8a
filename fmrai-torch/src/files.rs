//! Reading files and saying what was read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its path, relative to the model or data path where it lies below.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, lower-case hexadecimal.
    pub sha256: String,
}

impl FileInfo {
    /// Reads the file at `path` and calls it `name`.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(path: &Path, name: &str) -> io::Result<Self> {
        file_info(path, name)
    }
}

/// A file that is not what it should be, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{path}: {what}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found and what is needed.
        what: String,
    },
}

/// SHA-256 of everything that went through.
#[derive(Debug, Default)]
pub struct Hasher {
    hash: Sha256,
    bytes: u64,
}

impl Hasher {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// What went through, as the file called `name`.
    #[must_use]
    pub fn finish(self, name: &str) -> FileInfo {
        let digest = self.hash.finalize();
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        FileInfo { name: name.to_owned(), bytes: self.bytes, sha256 }
    }
}

/// The bytes of a file, and their hash.
///
/// # Errors
/// What the system says.
pub fn read(path: &Path, name: &str) -> io::Result<(Vec<u8>, FileInfo)> {
    let bytes = std::fs::read(path)?;
    let mut hasher = Hasher::new();
    hasher.update(&bytes);
    Ok((bytes, hasher.finish(name)))
}

/// Size and hash of a file, read piece by piece.
fn file_info(path: &Path, name: &str) -> io::Result<FileInfo> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish(name)),
            Ok(n) => hasher.update(buffer.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let info = file_info(&path, "abc").unwrap();
        assert_eq!(info.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((info.bytes, info.name.as_str()), (3, "abc"));
    }
}
