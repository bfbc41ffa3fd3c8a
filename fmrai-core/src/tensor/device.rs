//! Tensors where the model has them.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::DType;

/// A dense, row-major tensor in the memory of a device, borrowed: an address for code that knows the device.
///
/// Loaded analyzers read what is there, so it is made only by who knows that there is such a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTensor<'a> {
    data: *const c_void,
    cuda: usize,
    dtype: DType,
    shape: &'a [usize],
    lifetime: PhantomData<&'a ()>,
}

impl<'a> DeviceTensor<'a> {
    /// A dense tensor at `data` in the memory of the CUDA device `cuda`.
    ///
    /// # Safety
    /// For as long as `'a`, `data` is the address of a row-major tensor of this type and shape in the memory of that device, and
    /// nothing writes to it.
    #[must_use]
    #[expect(
        unsafe_code,
        reason = "the address is dereferenced by code of the device, so whoever names it has to vouch for it"
    )]
    pub unsafe fn from_raw(data: *const c_void, cuda: usize, dtype: DType, shape: &'a [usize]) -> Self {
        Self { data, cuda, dtype, shape, lifetime: PhantomData }
    }

    /// A tensor that nobody reads.
    #[cfg(test)]
    pub(crate) fn imagined(data: *const c_void, cuda: usize, dtype: DType, shape: &'a [usize]) -> Self {
        Self { data, cuda, dtype, shape, lifetime: PhantomData }
    }

    /// Address of the first element, in the device's memory.
    #[must_use]
    pub fn data(&self) -> *const c_void {
        self.data
    }

    /// Ordinal of the CUDA device.
    #[must_use]
    pub fn cuda(&self) -> usize {
        self.cuda
    }

    /// The element type, that of the model.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Sizes, outermost axis first.
    #[must_use]
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }
}
