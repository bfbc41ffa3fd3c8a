//! A file in memory that tensors may lie in.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use fmrai_core::tensor::DType;

use crate::error::TorchError;
use crate::ffi::tensor::Tensor;
use crate::files::{FileInfo, Hasher};
use crate::model::ModelError;

/// Bytes that are read, hashed and copied at a time, so that they stay in the processor's cache.
const PIECE: usize = 1 << 18;

/// The bytes of a file as dense memory of libtorch.
#[derive(Debug)]
pub(super) struct Memory {
    tensor: Tensor,
    length: u64,
}

impl Memory {
    /// Reads a file once; the hash is that of the bytes in memory.
    pub(super) fn read(file: &File, path: &Path, name: &str) -> Result<(Self, FileInfo), ModelError> {
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let length = file.metadata().map_err(io)?.len();
        let large =
            || ModelError::File { path: path.to_owned(), what: "is too large for this machine".to_owned() };
        let size = i64::try_from(length).map_err(|_| large())?;
        let whole = usize::try_from(length).map_err(|_| large())?;
        let tensor = Tensor::empty(&[size], DType::UInt8)?;
        let mut hasher = Hasher::new();
        let mut file = file;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        let mut piece = vec![0; PIECE.min(whole)];
        let mut at = 0;
        while at < whole {
            let count = (whole - at).min(piece.len());
            let Some(part) = piece.get_mut(..count) else { break };
            file.read_exact(part).map_err(io)?;
            hasher.update(part);
            tensor.write_part(at, part)?;
            at += count;
        }
        Ok((Self { tensor, length }, hasher.finish(name)))
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes, as a dense tensor of uint8.
    pub(super) fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// A copy of some bytes; `None` if there are not so many.
    pub(super) fn bytes(&self, start: u64, count: u64) -> Option<Vec<u8>> {
        start.checked_add(count).filter(|end| *end <= self.length)?;
        let mut bytes = vec![0; usize::try_from(count).ok()?];
        self.copy(start, &mut bytes).ok()?;
        Some(bytes)
    }

    fn copy(&self, start: u64, into: &mut [u8]) -> Result<(), TorchError> {
        self.tensor.read_part(usize::try_from(start).unwrap_or(usize::MAX), into)
    }

    /// Reads the bytes as a file.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { memory: self, at: 0 }
    }
}

/// A place in the bytes.
pub(super) struct Reader<'a> {
    memory: &'a Memory,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.memory.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = left.min(into.len());
        let Some(part) = into.get_mut(..count) else { return Ok(0) };
        self.memory.copy(self.at, part).map_err(io::Error::other)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(by) => (self.memory.length, by),
            SeekFrom::Current(by) => (self.at, by),
        };
        self.at = from.checked_add_signed(by).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_memory_is_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..600_000u32).map(|i| u8::try_from(i * 11 % 253).unwrap()).collect();
        std::fs::write(&path, &content).unwrap();
        let (memory, info) = Memory::read(&File::open(&path).unwrap(), &path, "file").unwrap();
        assert_eq!(info, FileInfo::read(&path, "file").unwrap());
        std::fs::write(&path, "another").unwrap();
        let mut read = Vec::new();
        let mut reader = memory.reader();
        reader.seek(SeekFrom::End(-100)).unwrap();
        assert_eq!(reader.read_to_end(&mut read).unwrap(), 100);
        assert_eq!(read, content[content.len() - 100..]);
        assert_eq!(memory.bytes(300_000, 7).unwrap(), content[300_000..300_007]);
        assert_eq!(memory.bytes(599_999, 2), None);
        assert_eq!(memory.bytes(u64::MAX, 2), None);
        assert_eq!(memory.bytes(600_000, 0).unwrap(), Vec::<u8>::new());
        std::fs::write(&path, "").unwrap();
        let (empty, _) = Memory::read(&File::open(&path).unwrap(), &path, "file").unwrap();
        assert_eq!((empty.length(), empty.reader().read(&mut [0; 4]).unwrap()), (0, 0));
    }
}
