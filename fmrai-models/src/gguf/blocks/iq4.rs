//! Blocks whose weights of 4 bits are places in a table that grows faster than a line: `IQ4_NL` and `IQ4_XS`.

use super::fields::{field, half};
use super::unpack::nibbles;

/// What the 16 numbers of 4 bits stand for.
const VALUES: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0,
];

/// 32 weights with one scale.
pub(super) fn iq4_nl(block: &[u8; 18], out: &mut [f32; 32]) {
    look_up(half::<0, _>(block), &field::<2, 16, _>(block), out);
}

/// 256 weights; 8 scales of 6 bits around 32.
pub(super) fn iq4_xs(block: &[u8; 136], out: &mut [f32; 256]) {
    let scale = half::<0, _>(block);
    let high = u16::from_le_bytes(field::<2, 2, _>(block));
    let low: [u8; 8] = nibbles_in_turn(field::<4, 4, _>(block));
    let quants: [u8; 128] = field::<8, 128, _>(block);
    let parts = out.as_chunks_mut::<32>().0.iter_mut().zip(quants.as_chunks::<16>().0);
    for (i, ((out, quants), low)) in parts.zip(low).enumerate() {
        let part = i16::from(low) | (high >> (2 * i) & 3).cast_signed() << 4;
        look_up(scale * f32::from(part - 32), quants, out);
    }
}

/// The low half of each byte and then its high one.
fn nibbles_in_turn(packed: [u8; 4]) -> [u8; 8] {
    std::array::from_fn(|i| packed[i / 2] >> (i % 2 * 4) & 15)
}

fn look_up(scale: f32, packed: &[u8; 16], out: &mut [f32; 32]) {
    // The same product as that of each weight, 16 times instead of 32.
    let values = VALUES.map(|value| scale * value);
    for (out, quant) in out.iter_mut().zip(nibbles::<16, 16, 32>(packed)) {
        *out = values[usize::from(quant & 15)];
    }
}
