//! Borrowed elements of tensors.

use super::DType;

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
