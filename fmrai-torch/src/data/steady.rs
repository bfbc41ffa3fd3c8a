//! A file of data that has to stay as it was when it was hashed.
//!
//! Data are read while a run goes on, perhaps for hours, and results name their hash. So a file is hashed once, whole and block by
//! block, and each block is compared before anything of it is used: a file that changes meanwhile is an error, never other
//! numbers under the old hash.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::DataError;
use crate::files::FileInfo;
use crate::files::Hasher;

/// Bytes of a block, where the file has no more than so many blocks; larger files have larger ones.
const BLOCK: u64 = 1 << 14;
const MOST_BLOCKS: u64 = 1 << 20;

/// What is said of a file that is not what it was.
const CHANGED: &str =
    "has changed while it was read: its bytes are not those that were hashed when it was opened";

type Hash = [u8; 32];

/// What is known of a file since it was opened.
#[derive(Debug)]
struct Known {
    path: PathBuf,
    length: u64,
    block: u64,
    hashes: Vec<Hash>,
    info: FileInfo,
}

/// A place in a file whose bytes are compared with those that were there when it was opened.
#[derive(Debug)]
pub(super) struct SteadyFile {
    known: Arc<Known>,
    /// Opened again when it is read, where it is closed.
    file: Option<File>,
    at: u64,
    /// How far it was read, for those who have given it away.
    place: Arc<AtomicU64>,
    /// The block that was read last, and its number.
    last: Option<u64>,
    bytes: Vec<u8>,
}

impl SteadyFile {
    /// Opens a regular file and hashes it; in results it is called `name`.
    pub(super) fn open(path: &Path, name: &str) -> Result<Self, DataError> {
        Self::open_one_of(1, path, name)
    }

    /// The same for one of so many files, whose hashes of blocks are to take as much memory together as those of one.
    pub(super) fn open_one_of(files: u64, path: &Path, name: &str) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.to_owned(), source };
        let meta = std::fs::metadata(path).map_err(io)?;
        if !meta.is_file() {
            let found = if meta.is_dir() { "a folder" } else { "no regular file" };
            let what = format!("is {found}, a file is needed");
            return Err(DataError::File { path: PathBuf::from(path), what });
        }
        let file = File::open(path).map_err(io)?;
        let most = (MOST_BLOCKS / files.max(1)).max(1);
        let block = (meta.len() / most).next_power_of_two().max(BLOCK);
        let known = Known::of(&file, path, block, name).map_err(io)?;
        Ok(Self { file: Some(file), ..Self::start(Arc::new(known)) })
    }

    fn start(known: Arc<Known>) -> Self {
        Self { known, file: None, at: 0, place: Arc::default(), last: None, bytes: Vec::new() }
    }

    /// Closes it until it is read again, so that many may be known at a time.
    pub(super) fn close(&mut self) {
        self.file = None;
        self.last = None;
        self.bytes = Vec::new();
    }

    /// How far it was read, in bytes, also when somebody else reads it.
    pub(super) fn place(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.place)
    }

    /// The same file, from its start.
    pub(super) fn again(&self) -> Self {
        // The same open file, also where something else has its name by now.
        let file = self.file.as_ref().and_then(|file| file.try_clone().ok());
        Self { file, ..Self::start(Arc::clone(&self.known)) }
    }

    /// Its size in bytes.
    pub(super) fn length(&self) -> u64 {
        self.known.length
    }

    /// Name, size and hash of what is read.
    pub(super) fn info(&self) -> &FileInfo {
        &self.known.info
    }

    /// Has the block in `bytes` that holds the place `at`.
    fn fetch(&mut self) -> io::Result<()> {
        let number = self.at / self.known.block;
        if self.last == Some(number) {
            return Ok(());
        }
        self.last = None;
        let start = number * self.known.block;
        let length = self.known.block.min(self.known.length - start);
        self.bytes.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
        let file = match &mut self.file {
            Some(file) => file,
            closed => closed.insert(File::open(&self.known.path)?),
        };
        file.seek(SeekFrom::Start(start))?;
        let changed = || io::Error::other(CHANGED);
        file.read_exact(&mut self.bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => changed(),
            _ => error,
        })?;
        let known = usize::try_from(number).ok().and_then(|number| self.known.hashes.get(number));
        if known != Some(&hash(&self.bytes)) {
            return Err(changed());
        }
        self.last = Some(number);
        Ok(())
    }
}

impl Known {
    fn of(mut file: &File, path: &Path, block: u64, name: &str) -> io::Result<Self> {
        let mut whole = Hasher::new();
        let mut hashes = Vec::new();
        let mut bytes = Vec::new();
        let mut length = 0;
        loop {
            bytes.clear();
            let read = file.by_ref().take(block).read_to_end(&mut bytes)?;
            if read == 0 {
                let info = whole.finish(name);
                return Ok(Self { path: path.to_owned(), length, block, hashes, info });
            }
            length += read as u64;
            whole.update(&bytes);
            hashes.push(hash(&bytes));
        }
    }
}

fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

impl Read for SteadyFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.known.length || into.is_empty() {
            return Ok(0);
        }
        self.fetch()?;
        let within = usize::try_from(self.at % self.known.block).unwrap_or(usize::MAX);
        let there = self.bytes.get(within..).unwrap_or_default();
        let count = there.len().min(into.len());
        if let (Some(into), Some(from)) = (into.get_mut(..count), there.get(..count)) {
            into.copy_from_slice(from);
        }
        self.at += count as u64;
        self.place.store(self.at, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for SteadyFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(by) => (self.known.length, by),
            SeekFrom::Current(by) => (self.at, by),
        };
        let at = from.checked_add_signed(by);
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
    }

    #[test]
    fn any_part_is_read_as_it_is_and_the_hash_is_that_of_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let bytes = content(40_000);
        std::fs::write(&path, &bytes).unwrap();
        let mut file = SteadyFile::open(&path, "d").unwrap();
        assert_eq!(*file.info(), FileInfo::read(&path, "d").unwrap());
        assert_eq!(file.length(), 40_000);
        let mut all = Vec::new();
        file.read_to_end(&mut all).unwrap();
        assert!(all == bytes);
        let mut part = [0; 100];
        let mut other = file.again();
        for start in [0, 16_380, 39_900, 32_768] {
            other.seek(SeekFrom::Start(start)).unwrap();
            other.read_exact(&mut part).unwrap();
            let start = usize::try_from(start).unwrap();
            assert_eq!(part[..], bytes[start..start + 100]);
        }
        other.seek(SeekFrom::End(-50)).unwrap();
        assert_eq!(other.read_exact(&mut part).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        std::fs::write(&path, "").unwrap();
        assert_eq!(SteadyFile::open(&path, "d").unwrap().read(&mut part).unwrap(), 0);
        assert!(SteadyFile::open(folder.path(), "d").unwrap_err().to_string().contains("is a folder"));
    }

    #[test]
    fn a_byte_that_changes_is_an_error_in_its_block_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        std::fs::write(&path, content(40_000)).unwrap();
        let mut file = SteadyFile::open(&path, "d").unwrap();
        let mut writer = File::options().write(true).open(&path).unwrap();
        writer.seek(SeekFrom::Start(20_000)).unwrap();
        writer.write_all(b"!").unwrap();
        let mut part = vec![0; 16_384];
        file.read_exact(&mut part).unwrap();
        let error = file.read_exact(&mut part[..10]).unwrap_err().to_string();
        assert!(error.contains("has changed while it was read"), "{error}");
        // What is appended was never hashed, and is not there; what is cut off was hashed.
        let mut other = file.again();
        other.seek(SeekFrom::Start(32_768)).unwrap();
        writer.set_len(50_000).unwrap();
        let mut rest = Vec::new();
        other.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, content(40_000)[32_768..]);
        writer.set_len(100).unwrap();
        let error = file.again().read_to_end(&mut rest).unwrap_err().to_string();
        assert_eq!(error, CHANGED);
    }
}
