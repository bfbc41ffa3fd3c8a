//! Where the tensors of a safetensors file are, without reading them.

use std::collections::BTreeMap;
use std::io::Read;

use safetensors::tensor::{Dtype, Metadata};

use super::DType;

/// Longest header that is read, as in the safetensors library.
const MAX_HEADER: u64 = 100_000_000;

/// The header of a safetensors file, known to fit the file.
#[derive(Debug, Clone, PartialEq)]
pub struct SafetensorsIndex {
    /// The tensors by name.
    pub tensors: BTreeMap<String, StoredTensor>,
    /// The text metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A tensor in a file: dense, row-major, little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTensor {
    /// Element type; [`DType::Other`] for types that fMRAi does not read.
    pub dtype: DType,
    /// Sizes, outermost axis first.
    pub shape: Vec<usize>,
    /// First byte in the file.
    pub start: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl SafetensorsIndex {
    /// Reads the header from the start of a file of `length` bytes.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the file, as of [`safetensors_header`].
    pub fn read(file: &mut impl Read, length: u64) -> Result<Self, String> {
        let (metadata, data) = safetensors_header(file, length)?;
        let mut tensors = BTreeMap::new();
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let stored = StoredTensor {
                dtype: dtype(info.dtype),
                shape: info.shape.clone(),
                start: data + start as u64,
                bytes: end.saturating_sub(start) as u64,
            };
            let elements = super::count(&stored.shape);
            let size = stored.dtype.size();
            if size.is_some_and(|size| elements.and_then(|n| n.checked_mul(size)) != Some(end - start)) {
                return Err(format!(
                    "tensor {name:?} of shape {:?} has {} bytes",
                    stored.shape, stored.bytes
                ));
            }
            tensors.insert(name, stored);
        }
        let metadata = metadata.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(Self { tensors, metadata })
    }
}

/// Reads the header from the start of a safetensors file of `length` bytes: what the library makes of it, known to fit the file, and the
/// byte at which the data begin.
///
/// The header is checked against the length before any memory is asked for, so that a truncated or lying file is an error.
///
/// # Errors
/// A sentence that says what is wrong with the file.
pub fn safetensors_header(file: &mut impl Read, length: u64) -> Result<(Metadata, u64), String> {
    if length < 8 {
        return Err(format!("it has {length} bytes, a safetensors file has at least 8"));
    }
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix).map_err(|e| e.to_string())?;
    let header_length = u64::from_le_bytes(prefix);
    if header_length > MAX_HEADER.min(length - 8) {
        return Err(format!(
            "not a safetensors file, or a truncated one: the header should have {header_length} bytes, the file \
             has {length}"
        ));
    }
    let mut header = vec![0; usize::try_from(header_length).unwrap_or(0)];
    file.read_exact(&mut header).map_err(|e| e.to_string())?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|e| format!("broken safetensors header: {e}"))?;
    let needed = (8 + header_length).checked_add(metadata.data_len() as u64);
    if needed != Some(length) {
        let needed = needed.map_or_else(|| "too many".to_owned(), |n| n.to_string());
        return Err(format!(
            "truncated or overlong: the header describes a file of {needed} bytes, this one has {length}"
        ));
    }
    Ok((metadata, 8 + header_length))
}

fn dtype(dtype: Dtype) -> DType {
    match dtype {
        Dtype::BOOL => DType::Bool,
        Dtype::U8 => DType::UInt8,
        Dtype::I8 => DType::Int8,
        Dtype::I16 => DType::Int16,
        Dtype::I32 => DType::Int32,
        Dtype::I64 => DType::Int64,
        Dtype::F16 => DType::Float16,
        Dtype::BF16 => DType::BFloat16,
        Dtype::F32 => DType::Float32,
        Dtype::F64 => DType::Float64,
        _ => DType::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::tensor::{TensorData, TensorValue, to_safetensors};

    #[test]
    fn the_index_says_where_each_tensor_is_and_no_cut_file_passes() {
        let one = TensorValue::new([2, 1], TensorData::F32(vec![0.5, -1.0])).unwrap();
        let two = TensorValue::new([1], TensorData::I64(vec![7])).unwrap();
        let metadata = HashMap::from([("key".to_owned(), "value".to_owned())]);
        let file = to_safetensors([("one", &one), ("two", &two)], metadata).unwrap();
        let index = SafetensorsIndex::read(&mut file.as_slice(), file.len() as u64).unwrap();
        let at = &index.tensors["one"];
        assert_eq!((at.dtype, at.shape.as_slice(), at.bytes), (DType::Float32, &[2, 1][..], 8));
        let start = usize::try_from(at.start).unwrap();
        assert_eq!(file[start..start + 4], 0.5f32.to_le_bytes());
        assert_eq!(index.metadata["key"], "value");
        for cut in 0..file.len() {
            assert!(SafetensorsIndex::read(&mut &file[..cut], cut as u64).is_err());
        }
        let lying = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
        let error = SafetensorsIndex::read(&mut lying.as_slice(), 10).unwrap_err();
        assert!(error.starts_with("not a safetensors file, or a truncated one"), "{error}");
    }
}
