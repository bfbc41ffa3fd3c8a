//! Tensors in files, mapped into memory: .safetensors and .npy.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor};

use super::DataError;
use crate::capture::call::{Form, copy_unseen, storage_in, strided};
use crate::tensor::DType;

/// Longest header that is read, in bytes.
const LONGEST_HEADER: u64 = 100 << 20;

/// The tensors in a file, by name; those of an .npy file are called `""`. Elements are read when they are used.
pub(super) fn open(path: &Path) -> Result<Vec<(String, Tensor)>, DataError> {
    let wrong = |what: String| DataError::File { path: path.to_owned(), what };
    let io = |source| DataError::Io { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(wrong("is no file, a .safetensors or .npy file is needed".to_owned()));
    }
    let mut file = File::open(path).map_err(io)?;
    let mut start = [0; 8];
    file.read_exact(&mut start)
        .map_err(|_| wrong("is too short for a .safetensors or .npy file".to_owned()))?;
    let length = metadata.len();
    let forms = if start.starts_with(b"\x93NUMPY") {
        vec![(String::new(), npy(&mut file, start[6]).map_err(wrong)?)]
    } else {
        safetensors(&mut file, u64::from_le_bytes(start), length).map_err(wrong)?
    };
    let map = map(path, length).map_err(wrong)?;
    let mut tensors = Vec::new();
    for (name, placed) in forms {
        let Placed { start, form, width } = placed;
        let place = |what: String| wrong(if name.is_empty() { what } else { format!("{name}: {what}") });
        let rest = usize::try_from(length).ok().and_then(|length| length.checked_sub(start));
        let rest = rest.ok_or_else(|| place("it starts beyond the end of the file".to_owned()))?;
        let part = storage_in(&map, start, rest).map_err(place)?;
        let part = if start % width == 0 { part } else { copy_unseen(&part).map_err(place)? };
        tensors.push((name.clone(), strided(&part, &form).map_err(place)?));
    }
    Ok(tensors)
}

/// The whole file as bytes, mapped.
fn map(path: &Path, length: u64) -> Result<Tensor, String> {
    let name = path.to_str().ok_or("has a path that is not UTF-8")?;
    let length = i64::try_from(length).map_err(|_| "is too large")?;
    Tensor::f_from_file(name, false, Some(length), (Kind::Uint8, Device::Cpu)).map_err(|e| e.to_string())
}

/// Where a tensor lies in a file.
struct Placed {
    start: usize,
    form: Form,
    /// Bytes of an element.
    width: usize,
}

fn code(dtype: DType) -> Option<(i32, usize)> {
    let code = match dtype {
        DType::UInt8 => 0,
        DType::Int8 => 1,
        DType::Int16 => 2,
        DType::Int32 => 3,
        DType::Int64 => 4,
        DType::Float16 => 5,
        DType::Float32 => 6,
        DType::Float64 => 7,
        DType::Bool => 11,
        DType::BFloat16 => 15,
        _ => return None,
    };
    Some((code, dtype.size()?))
}

fn dense(sizes: &[i64], first_is_fastest: bool) -> Result<Vec<i64>, String> {
    let mut strides = vec![1i64; sizes.len()];
    let mut next = 1i64;
    let order: Vec<usize> =
        if first_is_fastest { (0..sizes.len()).collect() } else { (0..sizes.len()).rev().collect() };
    for axis in order {
        strides[axis] = next;
        next = next.checked_mul(sizes[axis].max(1)).ok_or("its sizes are impossible")?;
    }
    Ok(strides)
}

fn safetensors(file: &mut File, header: u64, length: u64) -> Result<Vec<(String, Placed)>, String> {
    if header > LONGEST_HEADER || header.checked_add(8).is_none_or(|end| end > length) {
        return Err("is neither a .safetensors nor an .npy file".to_owned());
    }
    let mut bytes = header.to_le_bytes().to_vec();
    file.take(header).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    let data = bytes.len();
    let (_, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|e| format!("is no .safetensors file: {e}"))?;
    let mut all = Vec::new();
    for (name, info) in metadata.tensors() {
        use safetensors::Dtype;
        let dtype = match info.dtype {
            Dtype::F64 => DType::Float64,
            Dtype::F32 => DType::Float32,
            Dtype::F16 => DType::Float16,
            Dtype::BF16 => DType::BFloat16,
            Dtype::I64 => DType::Int64,
            Dtype::I32 => DType::Int32,
            Dtype::I16 => DType::Int16,
            Dtype::I8 => DType::Int8,
            Dtype::U8 => DType::UInt8,
            Dtype::BOOL => DType::Bool,
            other => return Err(format!("{name}: elements of type {other:?} are not supported")),
        };
        let (code, width) = code(dtype).ok_or("unknown element type")?;
        let sizes: Vec<i64> = info
            .shape
            .iter()
            .map(|n| i64::try_from(*n).map_err(|_| "too large"))
            .collect::<Result<_, _>>()?;
        let strides = dense(&sizes, false)?;
        let form = Form { dtype: code, sizes, strides, offset: 0 };
        all.push((name, Placed { start: data + info.data_offsets.0, form, width }));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

/// The format of NumPy, versions 1 to 3: a dictionary in Python's notation, then the elements.
fn npy(file: &mut File, version: u8) -> Result<Placed, String> {
    // The eight bytes read so far end with the version.
    let count = if version == 1 { 2 } else { 4 };
    if !(1..=3).contains(&version) {
        return Err(format!("is an .npy file of version {version}, this program reads 1 to 3"));
    }
    let mut length = [0; 4];
    let place = length.get_mut(..count).ok_or("ends inside its header")?;
    file.read_exact(place).map_err(|_| "ends inside its header")?;
    let length = u64::from(u32::from_le_bytes(length));
    let mut header = String::new();
    let read = file.take(length).read_to_string(&mut header).map_err(|_| "has a header that is no text")?;
    if read as u64 != length {
        return Err("ends inside its header".to_owned());
    }
    let text = |key: &str| -> Result<&str, String> {
        let (_, rest) =
            header.split_once(&format!("'{key}':")).ok_or_else(|| format!("has no {key} in its header"))?;
        Ok(rest.trim_start())
    };
    let kind = text("descr")?;
    let kind = kind.strip_prefix('\'').and_then(|kind| kind.split_once('\''));
    let (kind, _) = kind.ok_or("has fields, a plain array is needed")?;
    let dtype = match kind {
        "<f8" => DType::Float64,
        "<f4" => DType::Float32,
        "<f2" => DType::Float16,
        "<i8" => DType::Int64,
        "<i4" => DType::Int32,
        "<i2" => DType::Int16,
        "|i1" => DType::Int8,
        "|u1" => DType::UInt8,
        "|b1" => DType::Bool,
        other => {
            return Err(format!(
                "has elements of type {other}, valid are f2, f4, f8, i1 to i8, u1, b1, little endian"
            ));
        }
    };
    let first_is_fastest = text("fortran_order")?.starts_with("True");
    let shape = text("shape")?;
    let shape = shape
        .strip_prefix('(')
        .and_then(|shape| shape.split_once(')'))
        .ok_or("has no shape in its header")?
        .0;
    let sizes = shape
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| {
            size.parse::<i64>().ok().filter(|n| *n >= 0).ok_or_else(|| format!("has the size {size:?}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (code, width) = code(dtype).ok_or("unknown element type")?;
    let strides = dense(&sizes, first_is_fastest)?;
    let start = 8 + count + usize::try_from(length).map_err(|_| "has too long a header")?;
    Ok(Placed { start, form: Form { dtype: code, sizes, strides, offset: 0 }, width })
}
