//! Tensors where the model has them.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::DType;

/// A dense, row-major tensor in the memory of a device, borrowed: an address for code that knows the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTensor<'a> {
    /// Address of the first element, in the device's memory.
    pub data: *const c_void,
    /// Ordinal of the CUDA device.
    pub cuda: usize,
    /// The element type, that of the model.
    pub dtype: DType,
    /// Sizes, outermost axis first.
    pub shape: &'a [usize],
    lifetime: PhantomData<&'a ()>,
}

impl<'a> DeviceTensor<'a> {
    /// A tensor at an address of a CUDA device, which has to stay valid for `'a`.
    #[must_use]
    pub fn cuda(data: *const c_void, cuda: usize, dtype: DType, shape: &'a [usize]) -> Self {
        Self { data, cuda, dtype, shape, lifetime: PhantomData }
    }
}
