//! Borrowed tensors.

use super::{DType, TensorError, count};

/// Borrowed elements of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum DataView<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I64(&'a [i64]),
    I32(&'a [i32]),
    /// Also holds booleans, 0 or 1.
    U8(&'a [u8]),
}

impl DataView<'_> {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(d) => d.len(),
            Self::F64(d) => d.len(),
            Self::I64(d) => d.len(),
            Self::I32(d) => d.len(),
            Self::U8(d) => d.len(),
        }
    }

    /// True when there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::Float32,
            Self::F64(_) => DType::Float64,
            Self::I64(_) => DType::Int64,
            Self::I32(_) => DType::Int32,
            Self::U8(_) => DType::UInt8,
        }
    }
}

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

    /// The elements as `f32`, row-major.
    ///
    /// # Errors
    /// [`TensorError::DType`] if they have another type.
    pub fn f32(&self) -> Result<&'a [f32], TensorError> {
        match self.data {
            DataView::F32(d) => Ok(d),
            other => Err(TensorError::DType { found: other.dtype(), needed: DType::Float32 }),
        }
    }

    /// The elements as `i64`, row-major.
    ///
    /// # Errors
    /// [`TensorError::DType`] if they have another type.
    pub fn i64(&self) -> Result<&'a [i64], TensorError> {
        match self.data {
            DataView::I64(d) => Ok(d),
            other => Err(TensorError::DType { found: other.dtype(), needed: DType::Int64 }),
        }
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
