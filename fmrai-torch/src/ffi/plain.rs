//! Dense memory of the CPU, for reading.

use std::ffi::c_char;

use fmrai_core::tensor::{DType, DataView};

use super::message::checked;
use super::tensor::{RawTensor, Tensor};

// Declared as in `shim/api.h`.
unsafe extern "C" {
    fn fmrai_tensor_plain(tensor: *mut RawTensor, plain: *mut *mut RawTensor) -> *mut c_char;
    fn fmrai_tensors_alone(tensors: *const *const RawTensor, count: usize, alone: *mut bool) -> *mut c_char;
}

/// A dense CPU tensor of a plain type whose memory nobody else can reach.
pub(crate) struct PlainTensor {
    tensor: Tensor,
}

impl PlainTensor {
    /// The tensor's elements as such memory; not copied if it is that already.
    pub(crate) fn new(tensor: Tensor) -> Result<Self, String> {
        let raw = tensor.into_raw();
        let mut plain = std::ptr::null_mut();
        // SAFETY: `raw` is live and handed over; `plain` is valid for a write.
        checked(unsafe { fmrai_tensor_plain(raw, &raw mut plain) })?;
        // SAFETY: on success `plain` is a live tensor that is ours.
        let tensor = unsafe { Tensor::from_raw(plain) };
        tensor.map(|tensor| Self { tensor }).ok_or_else(|| "out of memory".to_owned())
    }

    /// Its sizes, outermost axis first.
    pub(crate) fn shape(&self) -> Vec<usize> {
        self.tensor.shape()
    }

    /// Its elements; `None` if they have no plain form.
    pub(crate) fn data(&self) -> Option<DataView<'_>> {
        Some(match self.tensor.dtype() {
            DType::Float32 => DataView::F32(self.elements()),
            DType::Float64 => DataView::F64(self.elements()),
            DType::Int64 => DataView::I64(self.elements()),
            DType::Int32 => DataView::I32(self.elements()),
            DType::Bool | DType::UInt8 => DataView::U8(self.elements()),
            _ => return None,
        })
    }

    fn elements<T: Element>(&self) -> &[T] {
        debug_assert!(T::DTYPES.contains(&self.tensor.dtype()));
        let (count, Some(start)) = (self.tensor.numel(), self.tensor.data()) else { return &[] };
        if count == 0 {
            return &[];
        }
        // SAFETY: `fmrai_tensor_plain` made the tensor dense CPU memory of `count` elements of the kind that the
        // caller matched, with sole ownership of the storage; it lives as long as `self`, and nothing writes to it.
        unsafe { std::slice::from_raw_parts(start.cast::<T>().as_ptr(), count) }
    }
}

/// For each of some tensors, whether it is memory of the CPU that nobody reaches but through these references: then nothing can change it as
/// long as they are all that is done with it.
///
/// # Errors
/// What libtorch reports.
pub(crate) fn alone(tensors: &[&Tensor]) -> Result<Vec<bool>, String> {
    let raw: Vec<*const RawTensor> = tensors.iter().map(|tensor| tensor.as_raw()).collect();
    let mut alone = vec![false; raw.len()];
    // SAFETY: `raw` has as many live tensors as `alone` has places, which are valid for writes.
    checked(unsafe { fmrai_tensors_alone(raw.as_ptr(), raw.len(), alone.as_mut_ptr()) })?;
    Ok(alone)
}

/// Element types with the same layout in Rust and libtorch.
trait Element {
    const DTYPES: &[DType];
}
impl Element for f32 {
    const DTYPES: &[DType] = &[DType::Float32];
}
impl Element for f64 {
    const DTYPES: &[DType] = &[DType::Float64];
}
impl Element for i64 {
    const DTYPES: &[DType] = &[DType::Int64];
}
impl Element for i32 {
    const DTYPES: &[DType] = &[DType::Int32];
}
impl Element for u8 {
    const DTYPES: &[DType] = &[DType::UInt8, DType::Bool];
}
