//! Tensors as DLPack has them: views of ours, and owned ones that change sides.

use std::ffi::c_void;
use std::sync::atomic::{AtomicI64, Ordering};

use super::raw::{
    DL_BFLOAT, DL_BOOL, DL_CPU, DL_CUDA, DL_FLOAT, DL_INT, DL_READ_ONLY, DL_UINT, DLDataType, DLDevice,
    DLManagedTensorVersioned, DLPackVersion, DLTensor, slice,
};
use crate::tensor::{DType, DataView, DeviceTensor, TensorData, TensorValue, TensorView};

/// Tensors that this library has handed out and that were not deleted yet.
pub(super) static LIVE: AtomicI64 = AtomicI64::new(0);

/// Axes of a tensor that nobody has.
const MOST_AXES: i32 = 64;

pub(super) fn dtype_of(data: DataView<'_>) -> DLDataType {
    let (code, bits) = match data {
        DataView::F32(_) => (DL_FLOAT, 32),
        DataView::F64(_) => (DL_FLOAT, 64),
        DataView::I64(_) => (DL_INT, 64),
        DataView::I32(_) => (DL_INT, 32),
        DataView::U8(_) => (DL_UINT, 8),
    };
    DLDataType { code, bits, lanes: 1 }
}

fn address(data: DataView<'_>) -> *mut c_void {
    let address: *const c_void = match data {
        DataView::F32(d) => d.as_ptr().cast(),
        DataView::F64(d) => d.as_ptr().cast(),
        DataView::I64(d) => d.as_ptr().cast(),
        DataView::I32(d) => d.as_ptr().cast(),
        DataView::U8(d) => d.as_ptr().cast(),
    };
    address.cast_mut()
}

/// Shape and strides of a dense tensor, one after the other.
pub(super) fn dimensions(shape: &[usize]) -> Vec<i64> {
    let mut dimensions: Vec<i64> = shape.iter().map(|d| i64::try_from(*d).unwrap_or(i64::MAX)).collect();
    let mut stride = 1i64;
    let mut strides: Vec<i64> = Vec::with_capacity(shape.len());
    for size in dimensions.iter().rev() {
        strides.push(stride);
        stride = stride.saturating_mul((*size).max(1));
    }
    dimensions.extend(strides.iter().rev());
    dimensions
}

/// A view as DLPack has it; `dimensions` are its shape and strides.
pub(super) fn lent(view: &TensorView<'_>, dimensions: &[i64]) -> DLTensor {
    let rank = view.shape().len();
    let shape = dimensions.as_ptr().cast_mut();
    DLTensor {
        data: address(view.data()),
        device: DLDevice { device_type: DL_CPU, device_id: 0 },
        ndim: i32::try_from(rank).unwrap_or(i32::MAX),
        dtype: dtype_of(view.data()),
        shape,
        strides: shape.wrapping_add(rank),
        byte_offset: 0,
    }
}

/// A tensor of a CUDA device as DLPack has it; `None` for elements that it has no type for.
pub(super) fn resident(tensor: &DeviceTensor<'_>, dimensions: &[i64]) -> Option<DLTensor> {
    let (code, bits) = match tensor.dtype() {
        DType::Float32 => (DL_FLOAT, 32),
        DType::Float64 => (DL_FLOAT, 64),
        DType::Float16 => (DL_FLOAT, 16),
        DType::BFloat16 => (DL_BFLOAT, 16),
        DType::Int64 => (DL_INT, 64),
        DType::Int32 => (DL_INT, 32),
        DType::Bool => (DL_BOOL, 8),
        DType::UInt8 => (DL_UINT, 8),
        _ => return None,
    };
    let rank = tensor.shape().len();
    let shape = dimensions.as_ptr().cast_mut();
    Some(DLTensor {
        data: tensor.data().cast_mut(),
        device: DLDevice { device_type: DL_CUDA, device_id: i32::try_from(tensor.cuda()).ok()? },
        ndim: i32::try_from(rank).ok()?,
        dtype: DLDataType { code, bits, lanes: 1 },
        shape,
        strides: shape.wrapping_add(rank),
        byte_offset: 0,
    })
}

struct Owner {
    _data: TensorData,
    _dimensions: Vec<i64>,
}

unsafe extern "C" fn delete(tensor: *mut DLManagedTensorVersioned) {
    // SAFETY: `managed` made it with `Box::into_raw`, and a deleter is called once.
    let tensor = unsafe { Box::from_raw(tensor) };
    // SAFETY: as above.
    drop(unsafe { Box::from_raw(tensor.manager_ctx.cast::<Owner>()) });
    LIVE.fetch_sub(1, Ordering::SeqCst);
}

/// Gives a tensor away; who gets it calls its deleter once.
pub(super) fn managed(value: TensorValue, flags: u64) -> *mut DLManagedTensorVersioned {
    let dimensions = dimensions(value.shape());
    let dl_tensor = lent(&value.view(), &dimensions);
    let owner = Box::new(Owner { _data: value.into_data(), _dimensions: dimensions });
    LIVE.fetch_add(1, Ordering::SeqCst);
    Box::into_raw(Box::new(DLManagedTensorVersioned {
        version: DLPackVersion { major: 1, minor: 0 },
        manager_ctx: Box::into_raw(owner).cast(),
        deleter: Some(delete),
        flags,
        dl_tensor,
    }))
}

/// A copy of a view that outlives it.
pub(super) fn retained(view: &TensorView<'_>) -> Result<*mut DLManagedTensorVersioned, String> {
    let data = match view.data() {
        DataView::F32(d) => TensorData::F32(d.to_vec()),
        DataView::F64(d) => TensorData::F64(d.to_vec()),
        DataView::I64(d) => TensorData::I64(d.to_vec()),
        DataView::I32(d) => TensorData::I64(d.iter().map(|x| i64::from(*x)).collect()),
        DataView::U8(d) => TensorData::I64(d.iter().map(|x| i64::from(*x)).collect()),
    };
    let value = TensorValue::new(view.shape(), data).map_err(|e| e.to_string())?;
    Ok(managed(value, DL_READ_ONLY))
}

/// Takes a tensor of the other side: copies its elements and calls its deleter, also where it is refused.
///
/// # Safety
/// `tensor` is NULL or a managed tensor that nobody else will use.
pub(super) unsafe fn take(tensor: *mut DLManagedTensorVersioned) -> Result<TensorValue, String> {
    if tensor.is_null() {
        return Err("the tensor is NULL".to_owned());
    }
    // SAFETY: not NULL; version and deleter stand at the same place in every version of DLPack.
    let (version, deleter) = unsafe { ((*tensor).version, (*tensor).deleter) };
    let value = if version.major == 1 {
        // SAFETY: version 1 has a tensor there, whose memory lives until the deleter is called.
        unsafe { copy(&(*tensor).dl_tensor) }
    } else {
        Err(format!("the tensor is of DLPack {}.{}, needed 1.x", version.major, version.minor))
    };
    if let Some(delete) = deleter {
        // SAFETY: called once; the tensor is not used afterwards.
        unsafe { delete(tensor) };
    }
    value
}

/// The elements of a tensor, whatever its strides.
///
/// # Safety
/// The tensor's pointers are NULL or valid for its sizes.
pub(super) unsafe fn copy(tensor: &DLTensor) -> Result<TensorValue, String> {
    if tensor.device.device_type != DL_CPU {
        return Err(format!(
            "the tensor is on device type {}, needed the CPU (1)",
            tensor.device.device_type
        ));
    }
    if !(0..=MOST_AXES).contains(&tensor.ndim) || (tensor.ndim > 0 && tensor.shape.is_null()) {
        return Err(format!("the tensor has {} axes and no shape of so many", tensor.ndim));
    }
    let rank = usize::try_from(tensor.ndim).unwrap_or(0);
    // SAFETY: `ndim` sizes by contract.
    let sizes = unsafe { slice(tensor.shape.cast_const(), rank) };
    let shape: Result<Vec<usize>, _> = sizes.iter().map(|s| usize::try_from(*s)).collect();
    let shape = shape.map_err(|_| format!("the tensor's shape is {sizes:?}"))?;
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| *n < 1 << 40);
    let count = count.ok_or_else(|| format!("the tensor's shape is {sizes:?}, too many elements"))?;
    let dense = dimensions(&shape);
    // SAFETY: `ndim` strides by contract; NULL, as old versions allow, stands for a dense tensor.
    let strides = match unsafe { slice(tensor.strides.cast_const(), rank) } {
        [] => &dense[rank..],
        strides => strides,
    };
    if count > 0 && tensor.data.is_null() {
        return Err(format!("the tensor's shape is {sizes:?}, its data are NULL"));
    }
    let offset = usize::try_from(tensor.byte_offset).map_err(|_| "the tensor's offset is too large")?;
    let base = tensor.data.cast::<u8>().cast_const().wrapping_add(offset);
    let DLDataType { code, bits, lanes } = tensor.dtype;
    if lanes != 1 {
        return Err(format!("the tensor's elements have {lanes} lanes, needed 1"));
    }
    macro_rules! read {
        ($type:ty) => {
            // SAFETY: the strides reach elements of this type only, by contract; none is read where `count` is 0.
            positions(&shape, strides, count).map(|p| unsafe {
                base.cast::<$type>().wrapping_offset(p).read_unaligned()
            })
        };
    }
    let data = match (code, bits) {
        (DL_FLOAT, 32) => TensorData::F32(read!(f32).collect()),
        (DL_FLOAT, 64) => TensorData::F64(read!(f64).collect()),
        (DL_INT, 64) => TensorData::I64(read!(i64).collect()),
        (DL_INT, 32) => TensorData::I64(read!(i32).map(i64::from).collect()),
        (DL_INT, 16) => TensorData::I64(read!(i16).map(i64::from).collect()),
        (DL_INT, 8) => TensorData::I64(read!(i8).map(i64::from).collect()),
        (DL_UINT | DL_BOOL, 8) => TensorData::I64(read!(u8).map(i64::from).collect()),
        _ => {
            return Err(format!(
                "the tensor's elements have DLPack type code {code} with {bits} bits, needed float32, float64, int64 \
                 or smaller integers"
            ));
        }
    };
    TensorValue::new(shape, data).map_err(|e| e.to_string())
}

/// Distances of the elements from the first one, in elements, row-major.
fn positions<'a>(shape: &'a [usize], strides: &'a [i64], count: usize) -> impl Iterator<Item = isize> + 'a {
    let mut index = vec![0usize; shape.len()];
    (0..count).map(move |_| {
        let terms = index.iter().zip(strides).map(|(i, s)| s.wrapping_mul(i64::try_from(*i).unwrap_or(0)));
        let position = terms.fold(0i64, i64::wrapping_add);
        for (i, size) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *size {
                break;
            }
            *i = 0;
        }
        isize::try_from(position).unwrap_or(0)
    })
}

/// A borrowed tensor of the other side, which has to be dense CPU memory, and its shape.
///
/// # Safety
/// `tensor` is NULL or its pointers are valid for `'a`.
pub(super) unsafe fn borrow<'a>(tensor: *const DLTensor) -> Result<(Vec<usize>, DataView<'a>), String> {
    // SAFETY: the caller's promise.
    let tensor = unsafe { tensor.as_ref() }.ok_or("a captured tensor is NULL")?;
    let rank = usize::try_from(tensor.ndim).map_err(|_| "a captured tensor has negative axes")?;
    // SAFETY: `ndim` sizes by contract.
    let sizes = unsafe { slice(tensor.shape.cast_const(), rank) };
    let shape: Result<Vec<usize>, _> = sizes.iter().map(|s| usize::try_from(*s)).collect();
    let shape = shape.map_err(|_| format!("a captured tensor has the shape {sizes:?}"))?;
    let count = crate::tensor::count(&shape).ok_or("a captured tensor is too large")?;
    // SAFETY: `ndim` strides by contract.
    let strides = unsafe { slice(tensor.strides.cast_const(), rank) };
    let dense = dimensions(&shape);
    let contiguous = strides.is_empty()
        || strides.iter().zip(&dense[rank..]).zip(&shape).all(|((s, d), n)| s == d || *n <= 1 || count == 0);
    if tensor.device.device_type != DL_CPU || !contiguous {
        return Err("a captured tensor is not dense CPU memory".to_owned());
    }
    let offset =
        usize::try_from(tensor.byte_offset).map_err(|_| "a captured tensor's offset is too large")?;
    let data = tensor.data.cast::<u8>().cast_const().wrapping_add(offset);
    if count > 0 && (tensor.data.is_null() || data.addr() % usize::from(tensor.dtype.bits / 8).max(1) != 0) {
        return Err("a captured tensor's data are NULL or not aligned".to_owned());
    }
    // SAFETY: dense, aligned and not NULL, so there are `count` elements of the type.
    let view = unsafe {
        match (tensor.dtype.code, tensor.dtype.bits) {
            (DL_FLOAT, 32) => DataView::F32(slice(data.cast(), count)),
            (DL_FLOAT, 64) => DataView::F64(slice(data.cast(), count)),
            (DL_INT, 64) => DataView::I64(slice(data.cast(), count)),
            (DL_INT, 32) => DataView::I32(slice(data.cast(), count)),
            (DL_UINT | DL_BOOL, 8) => DataView::U8(slice(data, count)),
            (code, bits) => return Err(format!("a captured tensor has DLPack type {code} with {bits} bits")),
        }
    };
    Ok((shape, view))
}
