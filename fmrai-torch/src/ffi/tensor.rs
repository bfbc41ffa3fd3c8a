//! The handle of a tensor: owning it, what it is, and its elements.

use std::ffi::{c_char, c_void};
use std::fmt;
use std::ptr::NonNull;

use fmrai_core::tensor::{DType, DeviceTensor};

use super::message::checked;
use crate::device::Device;
use crate::element::{Element, zeros};
use crate::error::TorchError;

/// `at::Tensor`, which C++ makes and frees.
#[repr(C)]
pub struct RawTensor {
    _opaque: [u8; 0],
}

/// As `fmrai_tensor_facts` of `shim/tensor.h`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    dtype: i32,
    device: i32,
    device_index: i32,
    axes: u32,
    elements: u64,
    defined: bool,
    strided: bool,
    contiguous: bool,
    gradient: bool,
}

// Declared as in `shim/tensor.h`.
unsafe extern "C" {
    fn fmrai_tensor_facts_of(tensor: *const RawTensor, facts: *mut Facts) -> *mut c_char;
    fn fmrai_tensor_sizes(tensor: *const RawTensor, sizes: *mut i64, axes: usize) -> *mut c_char;
    fn fmrai_tensor_data(tensor: *const RawTensor) -> *mut c_void;
    fn fmrai_tensor_share(tensor: *const RawTensor) -> *mut RawTensor;
    fn fmrai_tensor_free(tensor: *mut RawTensor);
    fn fmrai_tensor_of_bytes(
        bytes: *const u8,
        count: usize,
        sizes: *const i64,
        axes: usize,
        dtype: i32,
        tensor: *mut *mut RawTensor,
    ) -> *mut c_char;
    fn fmrai_tensor_write_part(
        tensor: *const RawTensor,
        at: usize,
        bytes: *const u8,
        count: usize,
    ) -> *mut c_char;
    fn fmrai_tensor_read_part(
        tensor: *const RawTensor,
        at: usize,
        bytes: *mut u8,
        count: usize,
    ) -> *mut c_char;
    fn fmrai_tensor_bytes(tensor: *const RawTensor, bytes: *mut u8, count: usize) -> *mut c_char;
}

/// A tensor of libtorch: a counted reference to it. Clones refer to the same elements.
///
/// It may lie on any device and have any element type; [`DType::Other`] stands for those that fMRAi does not read. What
/// changes the elements through one handle changes them for all; two threads must not do that at the same time.
pub struct Tensor {
    raw: NonNull<RawTensor>,
}

// SAFETY: a reference to a tensor is counted atomically by libtorch, so it may be given up on another thread.
unsafe impl Send for Tensor {}

impl Tensor {
    /// Takes over a tensor that C++ made with `new at::Tensor`; `None` for null.
    ///
    /// # Safety
    /// `raw` is null or points to an `at::Tensor` of the libtorch of this process that nobody else frees.
    #[must_use]
    pub unsafe fn from_raw(raw: *mut RawTensor) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw })
    }

    /// Another reference to a tensor that C++ owns; `None` when out of memory.
    ///
    /// # Safety
    /// `raw` points to a live `at::Tensor`.
    pub(super) unsafe fn share(raw: *const RawTensor) -> Option<Self> {
        // SAFETY: the caller vouches for the tensor; what is made is ours.
        NonNull::new(unsafe { fmrai_tensor_share(raw) }).map(|raw| Self { raw })
    }

    /// The tensor, for C++; it stays owned by this handle.
    #[must_use]
    pub fn as_raw(&self) -> *const RawTensor {
        self.raw.as_ptr()
    }

    /// The tensor, for C++ that frees it.
    #[must_use]
    pub fn into_raw(self) -> *mut RawTensor {
        let raw = self.raw.as_ptr();
        std::mem::forget(self);
        raw
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts { dtype: -1, device_index: -1, ..Facts::default() };
        // SAFETY: the tensor is live, `facts` is valid for a write.
        if let Err(what) = checked(unsafe { fmrai_tensor_facts_of(self.as_raw(), &raw mut facts) }) {
            tracing::debug!(%what, "a tensor does not say what it is");
        }
        facts
    }

    /// False for the tensor that is none, which operations give for results that they leave out.
    #[must_use]
    pub fn is_defined(&self) -> bool {
        self.facts().defined
    }

    /// True if its elements lie in memory with one stride for each axis: not sparse, nested, ...
    #[must_use]
    pub fn is_strided(&self) -> bool {
        self.facts().strided
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        DType::from_c10(self.facts().dtype)
    }

    /// Where its elements are.
    #[must_use]
    pub fn device(&self) -> Device {
        let facts = self.facts();
        Device::from_c10(facts.device, facts.device_index)
    }

    /// Number of axes.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.facts().axes as usize
    }

    /// Number of elements.
    #[must_use]
    pub fn numel(&self) -> usize {
        usize::try_from(self.facts().elements).unwrap_or(usize::MAX)
    }

    /// True if operations on it are recorded for gradients.
    #[must_use]
    pub fn requires_grad(&self) -> bool {
        self.facts().gradient
    }

    /// Sizes, outermost axis first; none for a tensor that has no sizes (nested, undefined).
    #[must_use]
    pub fn size(&self) -> Vec<i64> {
        let mut sizes = vec![0; self.dim()];
        // SAFETY: the tensor is live, `sizes` has as many places as are told, and the shim compares.
        match checked(unsafe { fmrai_tensor_sizes(self.as_raw(), sizes.as_mut_ptr(), sizes.len()) }) {
            Ok(()) => sizes,
            Err(_) => Vec::new(),
        }
    }

    /// Sizes, outermost axis first.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.size().into_iter().map(|size| usize::try_from(size).unwrap_or(0)).collect()
    }

    /// Its first element; `None` where it has no plain memory.
    pub(super) fn data(&self) -> Option<NonNull<c_void>> {
        // SAFETY: the tensor is live.
        NonNull::new(self.facts().strided.then(|| unsafe { fmrai_tensor_data(self.as_raw()) })?)
    }

    /// Where its elements begin, as a number to compare; `None` for tensors that have no such place (sparse, nested, ...).
    #[must_use]
    pub fn address(&self) -> Option<usize> {
        self.data().map(|data| data.addr().get())
    }

    /// A dense tensor of a CUDA device as it is, for code that knows the device; `None` for any other, and where `shape` is not
    /// its shape.
    #[must_use]
    pub fn on_device<'a>(&'a self, shape: &'a [usize]) -> Option<DeviceTensor<'a>> {
        let facts = self.facts();
        let Device::Cuda(ordinal) = Device::from_c10(facts.device, facts.device_index) else { return None };
        if !facts.contiguous || self.shape() != shape {
            return None;
        }
        // SAFETY: the tensor is live.
        let data = unsafe { fmrai_tensor_data(self.as_raw()) };
        // SAFETY: the tensor is dense and has this shape and type; its memory lives as long as the handle, which is borrowed.
        Some(unsafe {
            DeviceTensor::from_raw(data.cast_const(), ordinal, DType::from_c10(facts.dtype), shape)
        })
    }

    /// A dense tensor of the CPU with a copy of these elements, given as bytes in the order of the machine.
    ///
    /// # Errors
    /// [`TorchError`] if there are more or fewer bytes than `shape` and `dtype` need, if a size is negative, if `dtype` is
    /// [`DType::Other`], or for a truth value that is neither 0 nor 1.
    pub fn from_bytes(bytes: &[u8], shape: &[i64], dtype: DType) -> Result<Self, TorchError> {
        let code = code(dtype)?;
        if dtype == DType::Bool && bytes.iter().any(|byte| *byte > 1) {
            return Err(TorchError::new("truth values are bytes of 0 and 1, there are others"));
        }
        made(|out| {
            // SAFETY: bytes and sizes are read during the call, with the lengths given.
            unsafe {
                fmrai_tensor_of_bytes(bytes.as_ptr(), bytes.len(), shape.as_ptr(), shape.len(), code, out)
            }
        })
        .map_err(TorchError::new)
    }

    /// A copy of its elements as bytes, row-major, in the order of the machine. No tracker sees it being made.
    ///
    /// # Errors
    /// [`TorchError`] for tensors without plain elements (quantised, nested, without memory).
    pub fn to_bytes(&self) -> Result<Vec<u8>, TorchError> {
        let width =
            self.dtype().size().ok_or_else(|| TorchError::new("elements of its type cannot be read"))?;
        let mut bytes = zeros(self.numel().saturating_mul(width)).ok_or_else(|| self.too_large())?;
        self.copy_to(&mut bytes)?;
        Ok(bytes)
    }

    /// Copies all of its bytes to where there are as many.
    fn copy_to(&self, bytes: &mut [u8]) -> Result<(), TorchError> {
        // SAFETY: the tensor is live; `bytes` is valid for as many writes as are told, and the shim compares.
        checked(unsafe { fmrai_tensor_bytes(self.as_raw(), bytes.as_mut_ptr(), bytes.len()) })
            .map_err(TorchError::new)
    }

    fn too_large(&self) -> TorchError {
        let bytes = self.numel().saturating_mul(self.dtype().size().unwrap_or(1));
        TorchError::new(format!("{bytes} bytes are more than there is memory for"))
    }

    /// Writes bytes, in the order of the machine, into a dense tensor of the CPU, from the byte `at` on. No tracker sees it. Two threads may
    /// write at the same time into parts that do not overlap.
    ///
    /// # Errors
    /// [`TorchError`] if the tensor is not dense or not of the CPU, or if the part lies outside of it.
    pub fn write_part(&self, at: usize, bytes: &[u8]) -> Result<(), TorchError> {
        // SAFETY: the tensor is live, `bytes` is read during the call; the shim checks that the part lies inside.
        checked(unsafe { fmrai_tensor_write_part(self.as_raw(), at, bytes.as_ptr(), bytes.len()) })
            .map_err(TorchError::new)
    }

    /// Copies bytes of a dense tensor of the CPU, from the byte `at` on.
    pub(crate) fn read_part(&self, at: usize, bytes: &mut [u8]) -> Result<(), TorchError> {
        // SAFETY: the tensor is live, `bytes` is valid for the writes; the shim checks that the part lies inside.
        checked(unsafe { fmrai_tensor_read_part(self.as_raw(), at, bytes.as_mut_ptr(), bytes.len()) })
            .map_err(TorchError::new)
    }

    /// A copy of its elements, row-major. No tracker sees it being made.
    ///
    /// # Errors
    /// [`TorchError`] if they are of another type than `T`, or cannot be read.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, TorchError> {
        let found = self.dtype();
        if found != T::DTYPE {
            return Err(TorchError::new(format!("elements of {found} are read as {}", T::DTYPE)));
        }
        T::filled(self.numel(), |bytes| self.copy_to(bytes)).ok_or_else(|| self.too_large())?
    }
}

impl Clone for Tensor {
    fn clone(&self) -> Self {
        // SAFETY: the tensor is live.
        match NonNull::new(unsafe { fmrai_tensor_share(self.as_raw()) }) {
            Some(raw) => Self { raw },
            // As the standard library does where it gets none.
            None => std::alloc::handle_alloc_error(std::alloc::Layout::new::<usize>()),
        }
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: it is ours, and freed once.
        unsafe { fmrai_tensor_free(self.raw.as_ptr()) }
    }
}

/// `Tensor[[2, 3], float32]`.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor[{:?}, {}]", self.size(), self.dtype())
    }
}

/// The code of an element type that tensors can be made of.
pub(crate) fn code(dtype: DType) -> Result<i32, TorchError> {
    dtype.to_c10().ok_or_else(|| TorchError::new(format!("no tensor can be made of type {dtype}")))
}

/// A tensor that a function of the shim has made.
pub(super) fn made(make: impl FnOnce(*mut *mut RawTensor) -> *mut c_char) -> Result<Tensor, String> {
    let mut tensor = std::ptr::null_mut();
    checked(make(&raw mut tensor))?;
    // SAFETY: without an error the shim has made a tensor that is ours.
    unsafe { Tensor::from_raw(tensor) }.ok_or_else(|| "out of memory".to_owned())
}
