//! Rust's types of elements.

use fmrai_core::tensor::DType;

mod sealed {
    pub trait Sealed {}
}

/// A type of Rust that elements of a tensor are read and written as.
pub trait Element: Copy + sealed::Sealed {
    /// The element type of the tensor.
    const DTYPE: DType;
    /// Elements from their bytes, in the order of the machine.
    fn read(bytes: &[u8]) -> Vec<Self>;
    /// The bytes of elements.
    fn bytes(elements: &[Self]) -> Vec<u8>;
}

/// Implements [`Element`] for numbers of Rust.
macro_rules! numbers {
    ($($number:ty => $dtype:ident),* $(,)?) => {$(
        impl sealed::Sealed for $number {}
        impl Element for $number {
            const DTYPE: DType = DType::$dtype;

            fn read(bytes: &[u8]) -> Vec<Self> {
                let (chunks, _) = bytes.as_chunks::<{ size_of::<Self>() }>();
                chunks.iter().map(|chunk| Self::from_ne_bytes(*chunk)).collect()
            }

            fn bytes(elements: &[Self]) -> Vec<u8> {
                elements.iter().flat_map(|element| element.to_ne_bytes()).collect()
            }
        }
    )*};
}

numbers! {
    u8 => UInt8, i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64, f32 => Float32, f64 => Float64,
    half::f16 => Float16, half::bf16 => BFloat16,
}

impl sealed::Sealed for bool {}
impl Element for bool {
    const DTYPE: DType = DType::Bool;

    fn read(bytes: &[u8]) -> Vec<Self> {
        bytes.iter().map(|byte| *byte != 0).collect()
    }

    fn bytes(elements: &[Self]) -> Vec<u8> {
        elements.iter().map(|element| u8::from(*element)).collect()
    }
}
