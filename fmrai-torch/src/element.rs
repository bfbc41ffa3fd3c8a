//! Rust's types of elements.

use std::borrow::Cow;

use fmrai_core::tensor::DType;

mod sealed {
    pub trait Sealed {}
}

/// A type of Rust that elements of a tensor are read and written as.
pub trait Element: Copy + sealed::Sealed {
    /// The element type of the tensor.
    const DTYPE: DType;
    /// So many elements, whose bytes `fill` writes, in the order of the machine; `None` where there is no memory for them.
    fn filled<E>(count: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>)
    -> Option<Result<Vec<Self>, E>>;
    /// The bytes of elements.
    fn bytes(elements: &[Self]) -> Cow<'_, [u8]>;
}

/// Implements [`Element`] for numbers of Rust.
macro_rules! numbers {
    ($($number:ty => $dtype:ident),* $(,)?) => {$(
        impl sealed::Sealed for $number {}
        impl Element for $number {
            const DTYPE: DType = DType::$dtype;

            fn filled<E>(
                count: usize,
                fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
            ) -> Option<Result<Vec<Self>, E>> {
                let mut elements: Vec<Self> = zeros(count)?;
                Some(fill(bytemuck::cast_slice_mut(&mut elements)).map(|()| elements))
            }

            fn bytes(elements: &[Self]) -> Cow<'_, [u8]> {
                Cow::Borrowed(bytemuck::cast_slice(elements))
            }
        }
    )*};
}

numbers! {
    u8 => UInt8, i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64, f32 => Float32, f64 => Float64,
    half::f16 => Float16, half::bf16 => BFloat16,
}

/// So many zeros; `None` where there is no memory for them.
pub(crate) fn zeros<T: bytemuck::Zeroable + Clone>(count: usize) -> Option<Vec<T>> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(count).ok()?;
    zeros.resize(count, T::zeroed());
    Some(zeros)
}

impl sealed::Sealed for bool {}
impl Element for bool {
    const DTYPE: DType = DType::Bool;

    fn filled<E>(
        count: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Option<Result<Vec<Self>, E>> {
        let mut bytes: Vec<u8> = zeros(count)?;
        Some(fill(&mut bytes).map(|()| bytes.into_iter().map(|byte| byte != 0).collect()))
    }

    fn bytes(elements: &[Self]) -> Cow<'_, [u8]> {
        Cow::Owned(elements.iter().map(|element| u8::from(*element)).collect())
    }
}
