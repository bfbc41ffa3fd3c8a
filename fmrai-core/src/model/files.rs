//! Reading files and saying what was read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{FileInfo, ModelError};
use crate::data::{FoundTokenizer, Tokenizer, no_tokenizer};

/// SHA-256 of everything that went through.
pub(crate) struct Hasher {
    hash: Sha256,
    bytes: u64,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self { hash: Sha256::new(), bytes: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    pub(crate) fn finish(self, name: &str) -> FileInfo {
        let digest = self.hash.finalize();
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        FileInfo { name: name.to_owned(), bytes: self.bytes, sha256 }
    }
}

/// The bytes of a file, and their hash.
pub(crate) fn read(path: &Path, name: &str) -> io::Result<(Vec<u8>, FileInfo)> {
    let bytes = std::fs::read(path)?;
    let mut hasher = Hasher::new();
    hasher.update(&bytes);
    Ok((bytes, hasher.finish(name)))
}

/// Size and hash of a file, read piece by piece.
pub(crate) fn file_info(path: &Path, name: &str) -> io::Result<FileInfo> {
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

/// The tokenizer in `folder`; where none is named, the one beside the model's file, if there is one.
///
/// # Errors
/// Where a folder is named that has none, and for broken files.
pub(crate) fn tokenizer(folder: Option<PathBuf>, model: &Path) -> Result<FoundTokenizer, ModelError> {
    // How many tokens the model knows is not known here.
    let find = |folder: &Path| Tokenizer::find(folder, u32::MAX, None);
    match (folder, model.parent()) {
        (Some(folder), _) => {
            let found = find(&folder)?;
            if found.tokenizer.is_none() {
                let reason = found.warnings.first().map_or_else(no_tokenizer, Clone::clone);
                return Err(ModelError::File { path: folder, what: reason });
            }
            Ok(found)
        }
        (None, Some(folder)) => find(folder),
        (None, None) => Ok(FoundTokenizer::default()),
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
