//! Numbers in little-endian bytes.

use half::{bf16, f16};
use safetensors::Dtype;

/// Scales as numbers. Of other element types than those of scales there are none.
pub(super) fn scales(bytes: &[u8], dtype: Dtype) -> Vec<f32> {
    match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::F8_E8M0 => bytes.iter().map(|byte| e8m0(*byte)).collect(),
        _ => Vec::new(),
    }
}

/// The words in which numbers of few bits are packed.
pub(super) fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

/// An exponent alone: 2 to the power of what it is above 127.
fn e8m0(byte: u8) -> f32 {
    match byte {
        0 => f32::from_bits(0x0040_0000), // 2^-127, which has no leading one
        u8::MAX => f32::NAN,
        exponent => f32::from_bits(u32::from(exponent) << 23),
    }
}

/// A row of a matrix; nothing where there is no such row.
pub(super) fn row<T>(matrix: &[T], columns: usize, row: usize) -> &[T] {
    let start = row.saturating_mul(columns);
    matrix.get(start..start.saturating_add(columns)).unwrap_or_default()
}

/// How large groups are, for the name of a form.
pub(super) fn groups(size: Option<usize>) -> String {
    size.map_or_else(|| "one group".to_owned(), |size| format!("groups of {size}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_read_in_each_type() {
        let values = [0.5f32, -3.0, 1.0 / 1024.0];
        let single: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let half: Vec<u8> = values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        let brain: Vec<u8> = values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
        for (dtype, bytes) in [(Dtype::F32, single), (Dtype::F16, half), (Dtype::BF16, brain)] {
            assert_eq!(scales(&bytes, dtype), values, "{dtype}");
        }
        let exponents = scales(&[0, 1, 126, 127, 130, 254, 255], Dtype::F8_E8M0);
        let smallest = 2f32.powi(-126);
        assert_eq!(exponents[..6], [smallest / 2.0, smallest, 0.5, 1.0, 8.0, 2f32.powi(127)]);
        assert!(exponents[6].is_nan());
        assert_eq!(scales(&[1, 2, 3, 4], Dtype::I32), [0f32; 0]);
    }
}
