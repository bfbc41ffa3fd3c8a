//! A safetensors file, read in pieces by their positions: the header first, then all tensors in order, and then any of them again.
//!
//! What is read in order goes through the hash, so it is the hash of what was used.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fmrai_core::tensor::safetensors_header;
use fmrai_torch::files::{FileInfo, Hasher};
use fmrai_torch::model::ModelError;
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use tch::{Device, Kind, TchError, Tensor};

use crate::convert::OfModel;
use crate::pieces::checksum;

/// Bytes that are read at a time: whole elements of every type.
const PIECE: usize = 1 << 20;

/// An open file whose header is known to fit it.
///
/// It stays open as long as this is, so what is read again is the same file, whatever has its name by then.
#[derive(Debug)]
pub(super) struct SafetensorsFile {
    path: PathBuf,
    file: File,
    length: u64,
    /// Where the data begin.
    start: u64,
    /// The hash of the header, until the rest is read.
    header: Hasher,
    /// Names in the order of their data, which follow on each other without gaps up to the end of the file.
    tensors: Vec<(String, TensorInfo)>,
}

impl SafetensorsFile {
    /// Opens a file and checks its header.
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let wrong = |what: String| ModelError::File { path: path.to_owned(), what };
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() {
            return Err(wrong("a file is needed".to_owned()));
        }
        let length = meta.len();
        let mut reader = Hashed { reader: BufReader::with_capacity(1 << 16, &file), hasher: Hasher::new() };
        let (metadata, start) = safetensors_header(&mut reader, length).map_err(wrong)?;
        let header = reader.hasher;
        let tensors = metadata
            .offset_keys()
            .into_iter()
            .filter_map(|name| metadata.info(&name).cloned().map(|info| (name, info)))
            .collect();
        Ok(Self { path: path.to_owned(), file, length, start, header, tensors })
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Names, element types and shapes.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.tensors.iter().map(|(name, info)| (name.as_str(), info))
    }

    /// Reads the file to its end, once: each tensor is shown to `take` with its pieces, read or not.
    pub(super) fn read(
        &mut self,
        name: &str,
        mut take: impl FnMut(Stored<'_>, &mut Pieces<'_>) -> Result<(), ModelError>,
    ) -> Result<FileInfo, ModelError> {
        let mut hasher = std::mem::take(&mut self.header);
        let mut buffer = Vec::new();
        for (tensor, info) in &self.tensors {
            let stored = Stored { path: &self.path, name: tensor, info };
            let mut pieces = Pieces { file: self, stored, next: 0, hasher: &mut hasher, buffer: &mut buffer };
            take(stored, &mut pieces)?;
            pieces.each(|_, _| Ok(()))?;
        }
        Ok(hasher.finish(name))
    }

    /// Reads a piece of a tensor, which is all that `buffer` holds then. Threads may read at once.
    pub(super) fn read_piece(
        &self,
        tensor: &str,
        info: &TensorInfo,
        number: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ModelError> {
        let (start, end) = info.data_offsets;
        let first = (start + number * PIECE).min(end);
        buffer.resize((end - first).min(PIECE), 0);
        self.file.read_exact_at(buffer, self.start + first as u64).map_err(|source| {
            let path = self.path.clone();
            if source.kind() != ErrorKind::UnexpectedEof {
                return ModelError::Io { path, source };
            }
            let what =
                format!("it ends within {tensor} now, it had {} bytes when it was opened", self.length);
            ModelError::File { path, what }
        })
    }
}

/// What is read goes through the hash.
struct Hashed<R> {
    reader: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        self.hasher.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// The pieces of a tensor, in order.
pub(super) struct Pieces<'f> {
    file: &'f SafetensorsFile,
    stored: Stored<'f>,
    next: usize,
    hasher: &'f mut Hasher,
    buffer: &'f mut Vec<u8>,
}

impl Pieces<'_> {
    /// Reads those that were not read yet, shows each with its place in the tensor, in bytes, and gives their checksums.
    pub(super) fn each(
        &mut self,
        mut take: impl FnMut(usize, &[u8]) -> Result<(), ModelError>,
    ) -> Result<Vec<u64>, ModelError> {
        let Stored { name, info, .. } = self.stored;
        let mut checksums = Vec::new();
        while self.next < pieces(info) {
            self.file.read_piece(name, info, self.next, self.buffer)?;
            self.hasher.update(self.buffer);
            checksums.push(checksum(self.buffer));
            take(place(self.next), self.buffer)?;
            self.next += 1;
        }
        Ok(checksums)
    }
}

/// How many pieces a tensor has.
pub(super) fn pieces(info: &TensorInfo) -> usize {
    (info.data_offsets.1 - info.data_offsets.0).div_ceil(PIECE)
}

/// Where a piece begins in its tensor, in bytes.
pub(super) fn place(piece: usize) -> usize {
    piece * PIECE
}

/// A tensor as it is stored.
#[derive(Clone, Copy)]
pub(super) struct Stored<'f> {
    pub(super) path: &'f Path,
    /// Its name in the file.
    pub(super) name: &'f str,
    pub(super) info: &'f TensorInfo,
}

impl Stored<'_> {
    /// Its shape.
    pub(super) fn shape(&self) -> Vec<i64> {
        self.info.shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect()
    }

    /// Memory for its elements, as they are stored.
    pub(super) fn empty(&self) -> Result<Tensor, ModelError> {
        let Self { path, name, info } = *self;
        let (kind, size) = kind(info.dtype).ok_or_else(|| ModelError::File {
            path: path.to_owned(),
            what: format!(
                "weight {name} has elements of type {}, supported are F32, F16 and BF16",
                info.dtype
            ),
        })?;
        let elements = info.shape.iter().try_fold(size, |n, &d| n.checked_mul(d));
        let bytes = info.data_offsets.1 - info.data_offsets.0;
        // The header has been checked already; what the pieces do not fill would be any numbers, so it is checked here too.
        if elements != Some(bytes) {
            let what = format!("{bytes} bytes for a tensor of shape {:?}", info.shape);
            return Err(TchError::Shape(what)).of_model();
        }
        Tensor::f_empty(self.shape(), (kind, Device::Cpu)).of_model()
    }

    /// Refuses types of elements that are no weights.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        if kind(self.info.dtype).is_some() { Ok(()) } else { self.empty().map(drop) }
    }
}

/// True if all elements of a piece of a tensor are 0, of either sign.
pub(super) fn is_zero(bytes: &[u8], dtype: Dtype) -> bool {
    let Some((_, size)) = kind(dtype) else { return bytes.iter().all(|byte| *byte == 0) };
    let element = |element: &[u8]| {
        element.split_last().is_none_or(|(last, rest)| last & 0x7f == 0 && rest.iter().all(|b| *b == 0))
    };
    bytes.chunks(size).all(element)
}

/// The kind of a supported element type and its size in bytes.
fn kind(dtype: Dtype) -> Option<(Kind, usize)> {
    Some(match dtype {
        Dtype::F32 => (Kind::Float, 4),
        Dtype::F16 => (Kind::Half, 2),
        Dtype::BF16 => (Kind::BFloat16, 2),
        _ => return None,
    })
}
