//! Types of elements that can be read as slices.

use super::{DType, DataView};

/// A type that elements of a tensor have as they lie in memory: `f32`, `f64`, `i64`, `i32` and `u8`.
pub trait Element: Copy + sealed::Sealed + 'static {
    /// What PyTorch calls it.
    const DTYPE: DType;

    /// The elements, if they are of this type.
    #[must_use]
    fn slice(data: DataView<'_>) -> Option<&[Self]>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! element {
    ($($of:ty: $dtype:ident in $view:ident),+ $(,)?) => {$(
        impl sealed::Sealed for $of {}

        impl Element for $of {
            const DTYPE: DType = DType::$dtype;

            fn slice(data: DataView<'_>) -> Option<&[Self]> {
                match data {
                    DataView::$view(elements) => Some(elements),
                    _ => None,
                }
            }
        }
    )+};
}

element!(f32: Float32 in F32, f64: Float64 in F64, i64: Int64 in I64, i32: Int32 in I32, u8: UInt8 in U8);
