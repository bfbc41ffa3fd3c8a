//! The formats that weights are stored in, and the numbers that they stand for.
//!
//! A row of a tensor is stored in blocks: a fixed number of weights in a fixed number of bytes.

mod fields;
mod iq4;
mod k;
mod legacy;
mod unpack;

#[cfg(test)]
mod tests;

use std::fmt;

use half::{bf16, f16};

/// The format of the blocks of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "the names of the format")]
pub(crate) enum BlockType {
    /// Single precision, not quantised.
    F32,
    /// Half precision, not quantised.
    F16,
    /// The upper half of single precision, not quantised.
    BF16,
    /// 4 bits and a scale for 32 weights.
    Q4_0,
    /// 4 bits, a scale and a minimum for 32 weights.
    Q4_1,
    /// 5 bits and a scale for 32 weights.
    Q5_0,
    /// 5 bits, a scale and a minimum for 32 weights.
    Q5_1,
    /// 8 bits and a scale for 32 weights.
    Q8_0,
    /// 2 bits, with scales and minimums of 4 bits for 16 weights.
    Q2_K,
    /// 3 bits, with scales of 6 bits for 16 weights.
    Q3_K,
    /// 4 bits, with scales and minimums of 6 bits for 32 weights.
    Q4_K,
    /// 5 bits, with scales and minimums of 6 bits for 32 weights.
    Q5_K,
    /// 6 bits, with scales of 8 bits for 16 weights.
    Q6_K,
    /// 4 bits on a curve and a scale for 32 weights.
    IQ4_NL,
    /// 4 bits on a curve, with scales of 6 bits for 32 weights.
    IQ4_XS,
}

/// All that is known of a format.
struct Layout {
    name: &'static str,
    code: u32,
    length: usize,
    bytes: usize,
    /// Reads whole blocks.
    read: fn(&[u8], &mut [f32]),
}

impl BlockType {
    /// All formats that are read, by name.
    pub(crate) const READ: &[Self] = &[
        Self::BF16,
        Self::F16,
        Self::F32,
        Self::IQ4_NL,
        Self::IQ4_XS,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q4_K,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q5_K,
        Self::Q6_K,
        Self::Q8_0,
    ];

    /// The format that a file means by `code`, if it is read.
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Self::READ.iter().copied().find(|block| block.layout().code == code)
    }

    /// Its name in the definition of GGUF.
    pub(crate) fn name(self) -> &'static str {
        self.layout().name
    }

    /// Weights in a block.
    pub(crate) fn block_length(self) -> usize {
        self.layout().length
    }

    /// Bytes of a block.
    pub(crate) fn block_bytes(self) -> usize {
        self.layout().bytes
    }

    /// Writes the weights of whole blocks to `out`.
    ///
    /// # Errors
    /// If `bytes` are no whole blocks, or not as many as `out` needs.
    pub(crate) fn dequantise(self, bytes: &[u8], out: &mut [f32]) -> Result<(), Misfit> {
        let layout = self.fitting(bytes, out)?;
        (layout.read)(bytes, out);
        Ok(())
    }

    fn fitting(self, bytes: &[u8], out: &[f32]) -> Result<Layout, Misfit> {
        let layout = self.layout();
        let whole = bytes.len().is_multiple_of(layout.bytes) && out.len().is_multiple_of(layout.length);
        if whole && bytes.len() / layout.bytes == out.len() / layout.length {
            Ok(layout)
        } else {
            Err(Misfit { block: self, bytes: bytes.len(), weights: out.len() })
        }
    }

    #[rustfmt::skip]
    fn layout(self) -> Layout {
        let layout = |name, code, length, bytes, read| Layout { name, code, length, bytes, read };
        match self {
            Self::F32 => layout("F32", 0, 1, 4, |bytes, out| each(bytes, out, single)),
            Self::F16 => layout("F16", 1, 1, 2, |bytes, out| each(bytes, out, half_precision)),
            Self::BF16 => layout("BF16", 30, 1, 2, |bytes, out| each(bytes, out, brain)),
            Self::Q4_0 => layout("Q4_0", 2, 32, 18, |bytes, out| each(bytes, out, legacy::q4_0)),
            Self::Q4_1 => layout("Q4_1", 3, 32, 20, |bytes, out| each(bytes, out, legacy::q4_1)),
            Self::Q5_0 => layout("Q5_0", 6, 32, 22, |bytes, out| each(bytes, out, legacy::q5_0)),
            Self::Q5_1 => layout("Q5_1", 7, 32, 24, |bytes, out| each(bytes, out, legacy::q5_1)),
            Self::Q8_0 => layout("Q8_0", 8, 32, 34, |bytes, out| each(bytes, out, legacy::q8_0)),
            Self::Q2_K => layout("Q2_K", 10, 256, 84, |bytes, out| each(bytes, out, k::q2_k)),
            Self::Q3_K => layout("Q3_K", 11, 256, 110, |bytes, out| each(bytes, out, k::q3_k)),
            Self::Q4_K => layout("Q4_K", 12, 256, 144, |bytes, out| each(bytes, out, k::q4_k)),
            Self::Q5_K => layout("Q5_K", 13, 256, 176, |bytes, out| each(bytes, out, k::q5_k)),
            Self::Q6_K => layout("Q6_K", 14, 256, 210, |bytes, out| each(bytes, out, k::q6_k)),
            Self::IQ4_NL => layout("IQ4_NL", 20, 32, 18, |bytes, out| each(bytes, out, iq4::iq4_nl)),
            Self::IQ4_XS => layout("IQ4_XS", 23, 256, 136, |bytes, out| each(bytes, out, iq4::iq4_xs)),
        }
    }
}

impl fmt::Display for BlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Bytes and weights that are not the same number of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{bytes} bytes of {block} for {weights} weights: a block has {} bytes for {} weights",
    block.block_bytes(),
    block.block_length()
)]
pub(crate) struct Misfit {
    block: BlockType,
    bytes: usize,
    weights: usize,
}

/// Reads block after block; lengths are known where blocks are read, so nothing is checked there.
fn each<const BYTES: usize, const LENGTH: usize>(
    bytes: &[u8],
    out: &mut [f32],
    block: impl Fn(&[u8; BYTES], &mut [f32; LENGTH]),
) {
    for (bytes, out) in bytes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        block(bytes, out);
    }
}

fn single(bytes: &[u8; 4], out: &mut [f32; 1]) {
    *out = [f32::from_le_bytes(*bytes)];
}

fn half_precision(bytes: &[u8; 2], out: &mut [f32; 1]) {
    *out = [f16::from_le_bytes(*bytes).to_f32()];
}

fn brain(bytes: &[u8; 2], out: &mut [f32; 1]) {
    *out = [bf16::from_le_bytes(*bytes).to_f32()];
}
