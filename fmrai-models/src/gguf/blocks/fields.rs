//! Fields of a block at their places.

use half::f16;

/// The `LENGTH` bytes at byte `AT` of a block. The compiler refuses a field that does not fit.
pub(super) fn field<const AT: usize, const LENGTH: usize, const BLOCK: usize>(
    block: &[u8; BLOCK],
) -> [u8; LENGTH] {
    const { assert!(AT + LENGTH <= BLOCK) };
    let mut field = [0; LENGTH];
    field.copy_from_slice(&block[AT..AT + LENGTH]);
    field
}

/// The number of half precision at byte `AT` of a block.
pub(super) fn half<const AT: usize, const BLOCK: usize>(block: &[u8; BLOCK]) -> f32 {
    f16::from_le_bytes(field::<AT, 2, BLOCK>(block)).to_f32()
}
