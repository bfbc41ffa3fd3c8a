//! Batches as safetensors files, written piece by piece.

use std::collections::BTreeMap;
use std::io::{self, Write};

use half::{bf16, f16};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{BatchHeader, FORMAT, StoredActivation};
use crate::tensor::{DType, DataView, TensorView};

/// Elements that are converted at a time.
const CHUNK: usize = 1 << 14;

/// Size and hash of a file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// Writes the tensors of one batch, each with its entry of the manifest, as a safetensors file; the same bytes for
/// the same content.
///
/// # Errors
/// What the system says, or [`io::ErrorKind::InvalidData`] for a tensor whose elements are not of its entry's type.
pub fn write_batch(
    into: &mut impl Write,
    header: &BatchHeader,
    tensors: &[(&StoredActivation, TensorView<'_>)],
) -> io::Result<Written> {
    // The largest elements come first, so that each tensor is aligned.
    let mut order: Vec<&(&StoredActivation, TensorView<'_>)> = tensors.iter().collect();
    order.sort_by_key(|(entry, _)| (std::cmp::Reverse(entry.stored.size()), entry.key.clone()));
    let axes: BTreeMap<&str, &[String]> =
        tensors.iter().filter_map(|(entry, _)| Some((entry.key.as_str(), entry.axes.as_deref()?))).collect();
    let axes = serde_json::to_string(&axes)?;
    let metadata = json!({ "axes": axes, "batch": header.to_json()?, "format": FORMAT.to_string() });
    let mut fields = Map::from_iter([("__metadata__".to_owned(), metadata)]);
    let mut offset = 0;
    for (entry, view) in &order {
        check(entry, view)?;
        let bytes = view.data().len() * entry.stored.size().unwrap_or(0);
        let described = json!({
            "dtype": name(entry.stored),
            "shape": view.shape(),
            "data_offsets": [offset, offset + bytes],
        });
        fields.insert(entry.key.clone(), described);
        offset += bytes;
    }
    let mut text = Value::Object(fields).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut out = Hashing { into, hash: Sha256::new(), bytes: 0 };
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(&text)?;
    for (entry, view) in order {
        write_elements(&mut out, view.data(), entry.stored)?;
    }
    let sha256 = out.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Written { bytes: out.bytes, sha256 })
}

/// An element type as safetensors calls it.
fn name(dtype: DType) -> &'static str {
    match dtype {
        DType::Float16 => "F16",
        DType::BFloat16 => "BF16",
        DType::Float32 => "F32",
        DType::Float64 => "F64",
        DType::Int32 => "I32",
        DType::Int64 => "I64",
        DType::Bool => "BOOL",
        _ => "U8",
    }
}

fn check(entry: &StoredActivation, view: &TensorView<'_>) -> io::Result<()> {
    let fits = match view.data() {
        DataView::F32(_) => matches!(entry.stored, DType::Float32 | DType::Float16 | DType::BFloat16),
        DataView::U8(_) => matches!(entry.stored, DType::UInt8 | DType::Bool),
        other => entry.stored == other.dtype(),
    };
    if fits {
        return Ok(());
    }
    let (key, found, stored) = (&entry.key, view.dtype(), entry.stored);
    let what = format!("tensor {key} has elements of type {found}, in the graph it has {stored}");
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

fn write_elements(out: &mut impl Write, data: DataView<'_>, stored: DType) -> io::Result<()> {
    match (data, stored) {
        // What was widened goes back to the very bits that it came from.
        (DataView::F32(d), DType::Float16) => convert(out, d, |x| f16::from_f32(*x).to_le_bytes()),
        (DataView::F32(d), DType::BFloat16) => convert(out, d, |x| bf16::from_f32(*x).to_le_bytes()),
        (DataView::F32(d), _) => convert(out, d, |x| x.to_le_bytes()),
        (DataView::F64(d), _) => convert(out, d, |x| x.to_le_bytes()),
        (DataView::I64(d), _) => convert(out, d, |x| x.to_le_bytes()),
        (DataView::I32(d), _) => convert(out, d, |x| x.to_le_bytes()),
        (DataView::U8(d), _) => out.write_all(d),
    }
}

fn convert<T, const N: usize>(
    out: &mut impl Write,
    data: &[T],
    bytes: impl Fn(&T) -> [u8; N],
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(CHUNK * N);
    for chunk in data.chunks(CHUNK) {
        buffer.clear();
        buffer.extend(chunk.iter().flat_map(&bytes));
        out.write_all(&buffer)?;
    }
    Ok(())
}

struct Hashing<'a, W> {
    into: &'a mut W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.into.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}
