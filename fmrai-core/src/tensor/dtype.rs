//! Element types.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Element type of a tensor, named as PyTorch names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum DType {
    UInt8,
    Int8,
    Int16,
    Int32,
    Int64,
    Float16,
    Float32,
    Float64,
    Complex64,
    Complex128,
    Bool,
    BFloat16,
    /// Any type that fMRAi carries along without reading its elements (quantised, 8-bit floats, ...).
    Other,
}

impl DType {
    /// The type of a `c10::ScalarType` code.
    #[must_use]
    pub fn from_c10(code: i32) -> Self {
        match code {
            0 => Self::UInt8,
            1 => Self::Int8,
            2 => Self::Int16,
            3 => Self::Int32,
            4 => Self::Int64,
            5 => Self::Float16,
            6 => Self::Float32,
            7 => Self::Float64,
            9 => Self::Complex64,
            10 => Self::Complex128,
            11 => Self::Bool,
            15 => Self::BFloat16,
            _ => Self::Other,
        }
    }

    /// The type of a tensor of libtorch; [`DType::Other`] for types that tch does not know.
    #[cfg(feature = "torch")]
    #[must_use]
    pub fn of(tensor: &tch::Tensor) -> Self {
        use tch::Kind;
        match tensor.f_kind() {
            Ok(Kind::Uint8) => Self::UInt8,
            Ok(Kind::Int8) => Self::Int8,
            Ok(Kind::Int16) => Self::Int16,
            Ok(Kind::Int) => Self::Int32,
            Ok(Kind::Int64) => Self::Int64,
            Ok(Kind::Half) => Self::Float16,
            Ok(Kind::Float) => Self::Float32,
            Ok(Kind::Double) => Self::Float64,
            Ok(Kind::ComplexFloat) => Self::Complex64,
            Ok(Kind::ComplexDouble) => Self::Complex128,
            Ok(Kind::Bool) => Self::Bool,
            Ok(Kind::BFloat16) => Self::BFloat16,
            _ => Self::Other,
        }
    }

    /// True for real floating-point types.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float16 | Self::BFloat16 | Self::Float32 | Self::Float64)
    }

    /// Bytes of one element; `None` for [`DType::Other`].
    #[must_use]
    pub fn size(self) -> Option<usize> {
        Some(match self {
            Self::UInt8 | Self::Int8 | Self::Bool => 1,
            Self::Int16 | Self::Float16 | Self::BFloat16 => 2,
            Self::Int32 | Self::Float32 => 4,
            Self::Int64 | Self::Float64 | Self::Complex64 => 8,
            Self::Complex128 => 16,
            Self::Other => return None,
        })
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UInt8 => "uint8",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Complex64 => "complex64",
            Self::Complex128 => "complex128",
            Self::Bool => "bool",
            Self::BFloat16 => "bfloat16",
            Self::Other => "other",
        })
    }
}
