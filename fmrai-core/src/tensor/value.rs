//! Owned tensors, as results and states hold them.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::{Map, Value};

use super::{DType, DataView, TensorError, TensorView, count};

/// Owned elements of a tensor.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TensorData {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
}

impl TensorData {
    /// The elements, borrowed.
    #[must_use]
    pub fn view(&self) -> DataView<'_> {
        match self {
            Self::F32(d) => DataView::F32(d),
            Self::F64(d) => DataView::F64(d),
            Self::I64(d) => DataView::I64(d),
        }
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.view().dtype()
    }
}

impl From<Vec<f32>> for TensorData {
    fn from(elements: Vec<f32>) -> Self {
        Self::F32(elements)
    }
}

impl From<Vec<f64>> for TensorData {
    fn from(elements: Vec<f64>) -> Self {
        Self::F64(elements)
    }
}

impl From<Vec<i64>> for TensorData {
    fn from(elements: Vec<i64>) -> Self {
        Self::I64(elements)
    }
}

/// A dense, row-major tensor that owns its elements.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorValue {
    shape: Vec<usize>,
    data: TensorData,
}

impl TensorValue {
    /// A tensor of `shape` that holds `data`.
    ///
    /// # Errors
    /// [`TensorError::Length`] if the number of elements is not that of the shape.
    pub fn new(shape: impl Into<Vec<usize>>, data: TensorData) -> Result<Self, TensorError> {
        let shape = shape.into();
        TensorView::new(&shape, data.view())?;
        Ok(Self { shape, data })
    }

    /// Sizes, outermost axis first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, row-major.
    #[must_use]
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The elements, row-major, without the shape.
    #[must_use]
    pub fn into_data(self) -> TensorData {
        self.data
    }

    /// The same tensor, borrowed.
    #[must_use]
    pub fn view(&self) -> TensorView<'_> {
        TensorView::trusted(&self.shape, self.data.view())
    }

    /// The elements as `f64`, row-major.
    ///
    /// # Errors
    /// [`TensorError::DType`] if they have another type.
    pub fn f64(&self) -> Result<&[f64], TensorError> {
        self.view().elements()
    }

    /// The elements as `i64`, row-major.
    ///
    /// # Errors
    /// [`TensorError::DType`] if they have another type.
    pub fn i64(&self) -> Result<&[i64], TensorError> {
        self.view().elements()
    }
}

/// The bytes of elements as files have them, little-endian; on most machines those in memory.
fn bytes(data: &TensorData) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        return Cow::Borrowed(match data {
            TensorData::F32(d) => bytemuck::cast_slice(d),
            TensorData::F64(d) => bytemuck::cast_slice(d),
            TensorData::I64(d) => bytemuck::cast_slice(d),
        });
    }
    Cow::Owned(match data {
        TensorData::F32(d) => d.iter().flat_map(|x| x.to_le_bytes()).collect(),
        TensorData::F64(d) => d.iter().flat_map(|x| x.to_le_bytes()).collect(),
        TensorData::I64(d) => d.iter().flat_map(|x| x.to_le_bytes()).collect(),
    })
}

/// A tensor as the safetensors library takes it.
struct Stored<'a>(&'a TensorValue);

impl safetensors::View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self.0.data() {
            TensorData::F32(_) => Dtype::F32,
            TensorData::F64(_) => Dtype::F64,
            TensorData::I64(_) => Dtype::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        bytes(self.0.data())
    }

    fn data_len(&self) -> usize {
        bytes(self.0.data()).len()
    }
}

/// Named tensors and text metadata as the bytes of a safetensors file; the same bytes for the same content.
///
/// # Errors
/// The message of the safetensors library.
pub fn to_safetensors<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a TensorValue)>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>, String> {
    let views = tensors.into_iter().map(|(name, tensor)| (name, Stored(tensor)));
    safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string()).and_then(sort_metadata)
}

/// The same file with its metadata sorted by name: a hash map has no order, and equal results are equal files.
fn sort_metadata(mut file: Vec<u8>) -> Result<Vec<u8>, String> {
    const LENGTH: usize = size_of::<u64>();
    let length = file.first_chunk().map(|n| u64::from_le_bytes(*n)).and_then(|n| usize::try_from(n).ok());
    let header = length.and_then(|n| file.get_mut(LENGTH..LENGTH.checked_add(n)?)).ok_or("no header")?;
    let mut fields: Map<String, Value> = serde_json::from_slice(header).map_err(|e| e.to_string())?;
    if let Some(Value::Object(metadata)) = fields.get_mut("__metadata__") {
        metadata.sort_keys();
    }
    let sorted = serde_json::to_vec(&fields).map_err(|e| e.to_string())?;
    if sorted.len() > header.len() {
        return Err("sorting made the header longer".to_owned());
    }
    header.fill(b' ');
    header[..sorted.len()].copy_from_slice(&sorted);
    Ok(file)
}

/// What a safetensors file holds: tensors sorted by name, and text metadata.
pub type SafetensorsContent = (Vec<(String, TensorValue)>, HashMap<String, String>);

/// Named tensors and metadata of the bytes that [`to_safetensors`] wrote.
///
/// # Errors
/// A sentence that says what is wrong with the bytes.
pub fn from_safetensors(bytes: &[u8]) -> Result<SafetensorsContent, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        let raw = view.data();
        let data = match view.dtype() {
            Dtype::F32 => TensorData::F32(elements(raw, f32::from_le_bytes)),
            Dtype::F64 => TensorData::F64(elements(raw, f64::from_le_bytes)),
            Dtype::I64 => TensorData::I64(elements(raw, i64::from_le_bytes)),
            other => return Err(format!("tensor {name:?} has elements of type {other:?}")),
        };
        debug_assert_eq!(count(view.shape()), Some(data.view().len()));
        tensors.push((name.to_owned(), TensorValue::new(view.shape(), data).map_err(|e| e.to_string())?));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((tensors, header.metadata().clone().unwrap_or_default()))
}

fn elements<T, const N: usize>(raw: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>().0.iter().map(|c| read(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_tensors_and_metadata_are_equal_files() {
        let tensor = TensorValue::new([2], TensorData::F64(vec![0.5, -1.0])).unwrap();
        let metadata = || (0..20).map(|i| (format!("key {i} \u{e9}\""), format!("{{\"v\": {i}}}"))).collect();
        let file = to_safetensors([("a", &tensor)], metadata()).unwrap();
        for _ in 0..5 {
            assert_eq!(to_safetensors([("a", &tensor)], metadata()).unwrap(), file);
        }
        let (tensors, read) = from_safetensors(&file).unwrap();
        assert_eq!((tensors, read), (vec![("a".to_owned(), tensor)], metadata()));
    }
}
