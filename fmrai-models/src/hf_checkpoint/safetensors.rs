//! A safetensors file, read in pieces: the header first, then one tensor after the other.
//!
//! The header is checked against the size of the file before any memory is asked for, so that a truncated or lying
//! file is an error. Everything that is read goes through the hash, so it is the hash of what was used.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use fmrai_torch::files::FileInfo;
use fmrai_torch::files::Hasher;
use fmrai_torch::model::ModelError;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use tch::{Kind, Tensor};

use crate::convert::model_error;

/// Longest header that is read, as in the safetensors library.
const MAX_HEADER: u64 = 100_000_000;

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
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut hasher = Hasher::new();

        let mut length = [0; 8];
        if bytes < 8 {
            return Err(wrong(format!("it has {bytes} bytes, a safetensors file has at least 8")));
        }
        reader.read_exact(&mut length).map_err(io)?;
        hasher.update(&length);
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER.min(bytes - 8) {
            return Err(wrong(format!(
                "not a safetensors file, or a truncated one: the header should have {length} bytes, the file has {bytes}"
            )));
        }
        let mut header = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        reader.read_exact(&mut header).map_err(io)?;
        hasher.update(&header);
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|e| wrong(format!("broken safetensors header: {e}")))?;
        let needed = 8 + length + metadata.data_len() as u64;
        if needed != bytes {
            return Err(wrong(format!(
                "truncated or overlong: the header describes a file of {needed} bytes, this one has {bytes}"
            )));
        }
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

/// Elements that are no finite numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NonFinite {
    pub(super) nan: u64,
    pub(super) infinite: u64,
}

impl NonFinite {
    /// Counts in little-endian bytes. Other than libtorch's operations it needs no memory and no other thread.
    fn count(bytes: &[u8], dtype: Dtype) -> Self {
        let half = |exponent| Self::among(bytes.as_chunks().0, u16::from_le_bytes, exponent, 0x7fff);
        match dtype {
            Dtype::F16 => half(0x7c00),
            Dtype::BF16 => half(0x7f80),
            _ => Self::among(bytes.as_chunks().0, u32::from_le_bytes, 0x7f80_0000, 0x7fff_ffff),
        }
    }

    /// Counts in numbers.
    pub(super) fn of(values: &[f32]) -> Self {
        let nan = values.iter().filter(|x| x.is_nan()).count() as u64;
        let infinite = values.iter().filter(|x| x.is_infinite()).count() as u64;
        Self { nan, infinite }
    }

    /// An element whose exponent bits are all set is an infinity if its other bits, the sign aside, are 0, else NaN.
    fn among<T, const N: usize>(
        elements: &[[u8; N]],
        bits: fn([u8; N]) -> T,
        exponent: T,
        unsigned: T,
    ) -> Self
    where
        T: Copy + PartialEq + std::ops::BitAnd<Output = T>,
    {
        let special = |element: &&[u8; N]| bits(**element) & exponent == exponent;
        if !elements.iter().any(|element| special(&element)) {
            return Self::default();
        }
        let infinite = |element: &&[u8; N]| bits(**element) & unsigned == exponent;
        let special = elements.iter().filter(special).count() as u64;
        let infinite = elements.iter().filter(infinite).count() as u64;
        Self { nan: special - infinite, infinite }
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

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    #[test]
    fn non_finite_elements_are_counted_in_each_type() {
        let values = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY, 1.0, -0.0, 6e-8];
        let expected = NonFinite { nan: 2, infinite: 3 };
        let bytes =
            |write: &dyn Fn(f32) -> Vec<u8>| values.iter().flat_map(|x| write(*x)).collect::<Vec<_>>();
        let f32s = bytes(&|x| x.to_le_bytes().to_vec());
        let f16s = bytes(&|x| f16::from_f32(x).to_le_bytes().to_vec());
        let bf16s = bytes(&|x| bf16::from_f32(x).to_le_bytes().to_vec());
        for (dtype, bytes) in [(Dtype::F32, f32s), (Dtype::F16, f16s), (Dtype::BF16, bf16s)] {
            assert_eq!(NonFinite::count(&bytes, dtype), expected, "{dtype}");
        }
        let largest: Vec<u8> = [f32::MAX, f32::MIN].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(NonFinite::count(&largest, Dtype::F32), NonFinite::default());
    }
}
