//! Elements of weights that are no finite numbers.

use fmrai_torch::model::NonFiniteWeight;
use safetensors::Dtype;

/// Elements that are no finite numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NonFinite {
    pub(crate) nan: u64,
    pub(crate) infinite: u64,
}

impl NonFinite {
    /// Counts in little-endian bytes. Other than libtorch's operations it needs no memory and no other thread.
    pub(crate) fn count(bytes: &[u8], dtype: Dtype) -> Self {
        let half = |exponent| Self::among(bytes.as_chunks().0, u16::from_le_bytes, exponent, 0x7fff);
        match dtype {
            Dtype::F16 => half(0x7c00),
            Dtype::BF16 => half(0x7f80),
            _ => Self::among(bytes.as_chunks().0, u32::from_le_bytes, 0x7f80_0000, 0x7fff_ffff),
        }
    }

    /// Counts in numbers.
    pub(crate) fn of(values: &[f32]) -> Self {
        let nan = values.iter().filter(|x| x.is_nan()).count() as u64;
        let infinite = values.iter().filter(|x| x.is_infinite()).count() as u64;
        Self { nan, infinite }
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { nan: self.nan + other.nan, infinite: self.infinite + other.infinite }
    }

    /// What is told of a weight with these; nothing where all elements are finite.
    pub(crate) fn of_weight(self, name: &str) -> Option<NonFiniteWeight> {
        let Self { nan, infinite } = self;
        (nan + infinite > 0).then(|| NonFiniteWeight { name: name.to_owned(), nan, infinite })
    }

    /// An element whose exponent bits are all set is an infinity if its other bits, the sign aside, are 0, else NaN.
    fn among<T, const N: usize>(
        elements: &[[u8; N]],
        bits: fn([u8; N]) -> T,
        exponent: T,
        unsigned: T,
    ) -> Self
    where
        T: Copy + PartialEq + std::ops::BitAnd<Output = T>,
    {
        let special = |element: &&[u8; N]| bits(**element) & exponent == exponent;
        if !elements.iter().any(|element| special(&element)) {
            return Self::default();
        }
        let infinite = |element: &&[u8; N]| bits(**element) & unsigned == exponent;
        let special = elements.iter().filter(special).count() as u64;
        let infinite = elements.iter().filter(infinite).count() as u64;
        Self { nan: special - infinite, infinite }
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    #[test]
    fn non_finite_elements_are_counted_in_each_type() {
        let values = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY, 1.0, -0.0, 6e-8];
        let expected = NonFinite { nan: 2, infinite: 3 };
        let bytes =
            |write: &dyn Fn(f32) -> Vec<u8>| values.iter().flat_map(|x| write(*x)).collect::<Vec<_>>();
        let f32s = bytes(&|x| x.to_le_bytes().to_vec());
        let f16s = bytes(&|x| f16::from_f32(x).to_le_bytes().to_vec());
        let bf16s = bytes(&|x| bf16::from_f32(x).to_le_bytes().to_vec());
        for (dtype, bytes) in [(Dtype::F32, f32s), (Dtype::F16, f16s), (Dtype::BF16, bf16s)] {
            assert_eq!(NonFinite::count(&bytes, dtype), expected, "{dtype}");
        }
        let largest: Vec<u8> = [f32::MAX, f32::MIN].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(NonFinite::count(&largest, Dtype::F32), NonFinite::default());
    }
}
