//! Small unsigned numbers that share bytes, each in a byte of its own.
//!
//! All come in groups: the lowest bits of all bytes of a group stand before the next higher ones.

/// The halves of bytes that come in groups of `GROUP`.
pub(super) fn nibbles<const GROUP: usize, const PACKED: usize, const OUT: usize>(
    packed: &[u8; PACKED],
) -> [u8; OUT] {
    const { assert!(PACKED.is_multiple_of(GROUP) && OUT == 2 * PACKED) };
    let mut out = [0; OUT];
    for (packed, out) in
        packed.as_chunks::<GROUP>().0.iter().zip(out.as_chunks_mut::<GROUP>().0.as_chunks_mut().0)
    {
        let [low, high] = out;
        for ((packed, low), high) in packed.iter().zip(low).zip(high) {
            *low = packed & 15;
            *high = packed >> 4;
        }
    }
    out
}

/// The quarters of bytes that come in groups of 32.
pub(super) fn crumbs(packed: &[u8; 64]) -> [u8; 256] {
    let mut out = [0; 256];
    for (packed, rows) in packed.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<32>().0.as_chunks_mut().0)
    {
        let [first, second, third, fourth] = rows;
        for (i, packed) in packed.iter().enumerate() {
            first[i] = packed & 3;
            second[i] = packed >> 2 & 3;
            third[i] = packed >> 4 & 3;
            fourth[i] = packed >> 6;
        }
    }
    out
}

/// The bits of 32 bytes.
pub(super) fn bits(packed: &[u8; 32]) -> [u8; 256] {
    let mut out = [0; 256];
    for (shift, row) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        for (packed, out) in packed.iter().zip(row) {
            *out = packed >> shift & 1;
        }
    }
    out
}
