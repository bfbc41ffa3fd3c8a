//! Borrowed tensors.

use super::{DType, DataView, Element, TensorError, count};

/// A dense, row-major tensor in CPU memory, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorView<'a> {
    shape: &'a [usize],
    data: DataView<'a>,
}

impl<'a> TensorView<'a> {
    /// A view of `data` as a tensor of `shape`.
    ///
    /// # Errors
    /// [`TensorError::Length`] if the number of elements is not that of the shape.
    pub fn new(shape: &'a [usize], data: DataView<'a>) -> Result<Self, TensorError> {
        if count(shape) != Some(data.len()) {
            return Err(TensorError::Length {
                shape: shape.to_vec(),
                expected: count(shape).unwrap_or(usize::MAX),
                found: data.len(),
            });
        }
        Ok(Self { shape, data })
    }

    /// A view whose length is known to fit its shape.
    pub(crate) fn trusted(shape: &'a [usize], data: DataView<'a>) -> Self {
        debug_assert_eq!(count(shape), Some(data.len()));
        Self { shape, data }
    }

    /// Sizes, outermost axis first.
    #[must_use]
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The elements, row-major.
    #[must_use]
    pub fn data(&self) -> DataView<'a> {
        self.data
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The elements as `T`, row-major.
    ///
    /// # Errors
    /// [`TensorError::DType`] if they have another type.
    pub fn elements<T: Element>(&self) -> Result<&'a [T], TensorError> {
        T::slice(self.data).ok_or(TensorError::DType { found: self.dtype(), needed: T::DTYPE })
    }

    /// The elements as `f32`, row-major.
    ///
    /// # Errors
    /// [`TensorError::DType`] if they have another type.
    pub fn f32(&self) -> Result<&'a [f32], TensorError> {
        self.elements()
    }

    /// The elements as `i64`, row-major.
    ///
    /// # Errors
    /// [`TensorError::DType`] if they have another type.
    pub fn i64(&self) -> Result<&'a [i64], TensorError> {
        self.elements()
    }

    /// The shape as `N` sizes.
    ///
    /// # Errors
    /// [`TensorError::Shape`], naming `axes`, if the tensor has another number of axes.
    pub fn sizes<const N: usize>(&self, axes: &str) -> Result<[usize; N], TensorError> {
        self.shape
            .try_into()
            .map_err(|_| TensorError::Shape { found: self.shape.to_vec(), needed: axes.to_owned() })
    }
}
