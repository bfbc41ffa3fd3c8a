//! Tensors where the model has them.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::DType;

/// A dense, row-major tensor in the memory of a device, borrowed: an address for code that knows the device.
///
/// Loaded analyzers read what is there, so it cannot be put together from an address: it is made of a tensor of libtorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTensor<'a> {
    data: *const c_void,
    cuda: usize,
    dtype: DType,
    shape: &'a [usize],
    lifetime: PhantomData<&'a ()>,
}

impl<'a> DeviceTensor<'a> {
    /// A dense tensor of a CUDA device as it is; `None` for any other, and where `shape` is not that of the tensor.
    #[cfg(feature = "torch")]
    #[must_use]
    pub fn of(tensor: &'a tch::Tensor, shape: &'a [usize]) -> Option<Self> {
        if !tensor.defined() || tensor.is_sparse() || tensor.is_mkldnn() || !tensor.is_contiguous() {
            return None;
        }
        let tch::Device::Cuda(cuda) = tensor.device() else { return None };
        let sizes = tensor.size();
        let same = sizes.len() == shape.len()
            && sizes.iter().zip(shape).all(|(size, shape)| usize::try_from(*size) == Ok(*shape));
        let data = tensor.data_ptr().cast_const();
        same.then(|| Self { data, cuda, dtype: DType::of(tensor), shape, lifetime: PhantomData })
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
