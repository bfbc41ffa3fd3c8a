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

    /// Its `c10::ScalarType` code; `None` for [`DType::Other`].
    #[must_use]
    pub fn to_c10(self) -> Option<i32> {
        Some(match self {
            Self::UInt8 => 0,
            Self::Int8 => 1,
            Self::Int16 => 2,
            Self::Int32 => 3,
            Self::Int64 => 4,
            Self::Float16 => 5,
            Self::Float32 => 6,
            Self::Float64 => 7,
            Self::Complex64 => 9,
            Self::Complex128 => 10,
            Self::Bool => 11,
            Self::BFloat16 => 15,
            Self::Other => return None,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_libtorch_lead_there_and_back() {
        let known: Vec<DType> = (0..64).map(DType::from_c10).filter(|dtype| *dtype != DType::Other).collect();
        assert_eq!(known.len(), 12);
        for dtype in known {
            assert_eq!(dtype.to_c10().map(DType::from_c10), Some(dtype));
        }
        assert_eq!(DType::Other.to_c10(), None);
    }
}
