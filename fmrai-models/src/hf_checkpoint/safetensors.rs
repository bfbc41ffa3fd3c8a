//! A safetensors file, read in pieces: the header first, then one tensor after the other.
//!
//! Everything that is read goes through the hash, so it is the hash of what was used.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use fmrai_core::tensor::safetensors_header;
use fmrai_torch::files::{FileInfo, Hasher};
use fmrai_torch::model::ModelError;
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use tch::{Kind, Tensor};

use crate::convert::model_error;
use crate::non_finite::NonFinite;

/// An open file whose header is known to fit it.
pub(super) struct SafetensorsFile {
    path: PathBuf,
    reader: BufReader<File>,
    hasher: Hasher,
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
        let bytes = meta.len();
        let (reader, hasher) = (BufReader::with_capacity(1 << 16, file), Hasher::new());
        let mut start = Hashed { reader, hasher };
        let (metadata, _) = safetensors_header(&mut start, bytes).map_err(wrong)?;
        let Hashed { reader, hasher } = start;
        let tensors = metadata
            .offset_keys()
            .into_iter()
            .filter_map(|name| metadata.info(&name).cloned().map(|info| (name, info)))
            .collect();
        Ok(Self { path: path.to_owned(), reader, hasher, tensors })
    }

    /// Names, element types and shapes.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.tensors.iter().map(|(name, info)| (name.as_str(), info))
    }

    /// Reads the file to its end and hands over each tensor that `wanted` accepts by its name.
    pub(super) fn read(
        mut self,
        name: &str,
        wanted: impl Fn(&str) -> bool,
        mut found: impl FnMut(StoredTensor<'_>) -> Result<(), ModelError>,
    ) -> Result<FileInfo, ModelError> {
        let mut buffer = Vec::new();
        for (tensor, info) in &self.tensors {
            let bytes = info.data_offsets.1 - info.data_offsets.0;
            buffer.resize(bytes, 0);
            self.reader
                .read_exact(&mut buffer)
                .map_err(|source| ModelError::Io { path: self.path.clone(), source })?;
            self.hasher.update(&buffer);
            if wanted(tensor) {
                found(StoredTensor { path: &self.path, name: tensor, info, bytes: &buffer })?;
            }
        }
        Ok(self.hasher.finish(name))
    }
}

/// What is read goes through the hash.
struct Hashed {
    reader: BufReader<File>,
    hasher: Hasher,
}

impl Read for Hashed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        self.hasher.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// A tensor as it is stored.
pub(super) struct StoredTensor<'f> {
    path: &'f Path,
    name: &'f str,
    info: &'f TensorInfo,
    bytes: &'f [u8],
}

impl StoredTensor<'_> {
    /// Its name in the file.
    pub(super) fn name(&self) -> &str {
        self.name
    }

    /// Its elements, little-endian and in the order of its axes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// The tensor as libtorch holds it, with elements of type `target`.
    pub(super) fn tensor(&self, target: Kind) -> Result<Tensor, ModelError> {
        tensor_of(self.bytes, self.info, target).map_err(|e| e.into_error(self.path, self.name))
    }

    /// What is not finite in it.
    pub(super) fn non_finite(&self) -> NonFinite {
        NonFinite::count(self.bytes, self.info.dtype)
    }

    /// True if all of its elements are 0, of either sign.
    pub(super) fn is_zero(&self) -> bool {
        let Some((_, size)) = kind(self.info.dtype) else { return self.bytes.iter().all(|byte| *byte == 0) };
        let element = |element: &[u8]| {
            element.split_last().is_none_or(|(last, rest)| last & 0x7f == 0 && rest.iter().all(|b| *b == 0))
        };
        self.bytes.chunks(size).all(element)
    }
}

/// Why a tensor of a file cannot be used.
enum Unreadable {
    Dtype(Dtype),
    Torch(tch::TchError),
}

impl Unreadable {
    fn into_error(self, path: &Path, tensor: &str) -> ModelError {
        match self {
            Self::Torch(error) => model_error(&error),
            Self::Dtype(dtype) => ModelError::File {
                path: path.to_owned(),
                what: format!(
                    "weight {tensor} has elements of type {dtype}, supported are F32, F16 and BF16"
                ),
            },
        }
    }
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

fn tensor_of(bytes: &[u8], info: &TensorInfo, target: Kind) -> Result<Tensor, Unreadable> {
    let (kind, size) = kind(info.dtype).ok_or(Unreadable::Dtype(info.dtype))?;
    let shape: Vec<i64> = info.shape.iter().filter_map(|&n| i64::try_from(n).ok()).collect();
    let elements = info.shape.iter().try_fold(size, |n, &d| n.checked_mul(d));
    // The header has been checked already; libtorch copies as many bytes as the shape says, so it is checked here too.
    if elements != Some(bytes.len()) || shape.len() != info.shape.len() {
        let what = format!("{} bytes for a tensor of shape {:?}", bytes.len(), info.shape);
        return Err(Unreadable::Torch(tch::TchError::Shape(what)));
    }
    Tensor::f_from_data_size(bytes, &shape, kind)
        .and_then(|tensor| if kind == target { Ok(tensor) } else { tensor.f_to_kind(target) })
        .map_err(Unreadable::Torch)
}
