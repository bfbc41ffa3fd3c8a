//! Blocks of 256 weights whose parts have scales that are numbers of few bits themselves: `Q2_K` to `Q6_K`.

use super::fields::{field, half};
use super::unpack::{bits, crumbs, nibbles};

/// Weights of 2 bits; 16 scales and minimums of 4 bits.
pub(super) fn q2_k(block: &[u8; 84], out: &mut [f32; 256]) {
    let (scale, minimum) = (half::<80, _>(block), half::<82, _>(block));
    let parts = field::<0, 16, _>(block).map(|both| (both & 15, both >> 4));
    let parts =
        parts.map(|(of_scale, of_minimum)| (scale * f32::from(of_scale), minimum * f32::from(of_minimum)));
    above_minimums::<16, 16>(&crumbs(&field::<16, 64, _>(block)), &parts, out);
}

/// Weights of 3 bits around 4; 16 scales of 6 bits around 32.
pub(super) fn q3_k(block: &[u8; 110], out: &mut [f32; 256]) {
    let scale = half::<108, _>(block);
    let (low, high): ([u8; 8], [u8; 4]) = (field::<96, 8, _>(block), field::<104, 4, _>(block));
    let parts: [f32; 16] = std::array::from_fn(|i| {
        let part = low[i % 8] >> (i / 8 * 4) & 15 | (high[i % 4] >> (i / 4 * 2) & 3) << 4;
        scale * f32::from(i16::from(part) - 32)
    });
    let mut quants = crumbs(&field::<32, 64, _>(block));
    for (quant, bit) in quants.iter_mut().zip(bits(&field::<0, 32, _>(block))) {
        *quant |= bit << 2;
    }
    around::<4>(&quants, &parts, out);
}

/// Weights of 4 bits; 8 scales and minimums of 6 bits.
pub(super) fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let parts = six_bits(half::<0, _>(block), half::<2, _>(block), &field::<4, 12, _>(block));
    above_minimums::<32, 8>(&nibbles::<32, 128, 256>(&field::<16, 128, _>(block)), &parts, out);
}

/// Weights of 5 bits; 8 scales and minimums of 6 bits.
pub(super) fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    let parts = six_bits(half::<0, _>(block), half::<2, _>(block), &field::<4, 12, _>(block));
    let mut quants = nibbles::<32, 128, 256>(&field::<48, 128, _>(block));
    for (quant, bit) in quants.iter_mut().zip(bits(&field::<16, 32, _>(block))) {
        *quant |= bit << 4;
    }
    above_minimums::<32, 8>(&quants, &parts, out);
}

/// Weights of 6 bits around 32; 16 scales of 8 bits with a sign.
pub(super) fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let scale = half::<208, _>(block);
    let parts = field::<192, 16, _>(block).map(|part| scale * f32::from(part.cast_signed()));
    let mut quants = nibbles::<64, 128, 256>(&field::<0, 128, _>(block));
    for (quant, high) in quants.iter_mut().zip(crumbs(&field::<128, 64, _>(block))) {
        *quant |= high << 4;
    }
    around::<32>(&quants, &parts, out);
}

/// Scales and minimums of the 8 parts of a block: the first four in the low 6 bits of a byte each, whose high bits
/// belong to the last four.
fn six_bits(scale: f32, minimum: f32, packed: &[u8; 12]) -> [(f32, f32); 8] {
    std::array::from_fn(|i| {
        let (of_scale, of_minimum) = if i < 4 {
            (packed[i] & 63, packed[i + 4] & 63)
        } else {
            let both = packed[i + 4];
            (both & 15 | packed[i - 4] >> 6 << 4, both >> 4 | packed[i] >> 6 << 4)
        };
        (scale * f32::from(of_scale), minimum * f32::from(of_minimum))
    })
}

/// Each part's numbers times its scale, less its minimum.
fn above_minimums<const PART: usize, const PARTS: usize>(
    quants: &[u8; 256],
    parts: &[(f32, f32); PARTS],
    out: &mut [f32; 256],
) {
    const { assert!(PART * PARTS == 256) };
    let chunks = out.as_chunks_mut::<PART>().0.iter_mut().zip(quants.as_chunks::<PART>().0);
    for ((out, quants), (scale, minimum)) in chunks.zip(parts) {
        for (out, quant) in out.iter_mut().zip(quants) {
            *out = scale * f32::from(*quant) - minimum;
        }
    }
}

/// Each part's numbers, less `MIDDLE`, times its scale.
fn around<const MIDDLE: i16>(quants: &[u8; 256], parts: &[f32; 16], out: &mut [f32; 256]) {
    let chunks = out.as_chunks_mut::<16>().0.iter_mut().zip(quants.as_chunks::<16>().0);
    for ((out, quants), scale) in chunks.zip(parts) {
        for (out, quant) in out.iter_mut().zip(quants) {
            *out = scale * f32::from(i16::from(*quant) - MIDDLE);
        }
    }
}
