//! Blocks of 32 weights with one scale: `Q4_0` to `Q8_0`.
//!
//! Here and in the other formats each product and sum is rounded on its own, as in NumPy: results are compared bit for bit.

use super::fields::{field, half};
use super::unpack::nibbles;

/// Weights of 4 bits around 8.
pub(super) fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let scale = half::<0, _>(block);
    let quants: [u8; 32] = nibbles::<16, 16, 32>(&field::<2, 16, _>(block));
    for (out, quant) in out.iter_mut().zip(quants) {
        *out = scale * f32::from(i16::from(quant) - 8);
    }
}

/// Weights of 4 bits above a minimum.
pub(super) fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (scale, minimum) = (half::<0, _>(block), half::<2, _>(block));
    let quants: [u8; 32] = nibbles::<16, 16, 32>(&field::<4, 16, _>(block));
    for (out, quant) in out.iter_mut().zip(quants) {
        *out = scale * f32::from(quant) + minimum;
    }
}

/// Weights of 5 bits around 16.
pub(super) fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let scale = half::<0, _>(block);
    let quants = five_bits(&field::<6, 16, _>(block), field::<2, 4, _>(block));
    for (out, quant) in out.iter_mut().zip(quants) {
        *out = scale * f32::from(i16::from(quant) - 16);
    }
}

/// Weights of 5 bits above a minimum.
pub(super) fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (scale, minimum) = (half::<0, _>(block), half::<2, _>(block));
    let quants = five_bits(&field::<8, 16, _>(block), field::<4, 4, _>(block));
    for (out, quant) in out.iter_mut().zip(quants) {
        *out = scale * f32::from(quant) + minimum;
    }
}

/// Weights of 8 bits with a sign.
pub(super) fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let scale = half::<0, _>(block);
    for (out, quant) in out.iter_mut().zip(field::<2, 32, _>(block)) {
        *out = f32::from(quant.cast_signed()) * scale;
    }
}

/// Numbers of 5 bits: the fifth of each is the bit of `high` that has its position.
fn five_bits(low: &[u8; 16], high: [u8; 4]) -> [u8; 32] {
    let mut quants = nibbles::<16, 16, 32>(low);
    for (quants, high) in quants.as_chunks_mut::<8>().0.iter_mut().zip(high) {
        for (i, quant) in quants.iter_mut().enumerate() {
            *quant |= if high & 1 << i == 0 { 0 } else { 16 };
        }
    }
    quants
}
