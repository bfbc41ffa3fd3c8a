//! Weights of AWQ, version "gemm": integers of 4 bits, packed along the outputs, with a scale and a zero for each output in each
//! group of inputs.
//!
//! `w[o, i] = scales[g, o] * (q[i, o] - zeros[g, o])` where `g` is the group of input `i`.

use safetensors::Dtype;

use super::numbers::{self, row};
use super::parts::{Matrix, Parts, SCALES};

/// What config.json says of such weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hf_checkpoint) struct Config {
    /// Inputs in a group; `None` if all are one.
    pub(super) group: Option<usize>,
}

/// A weight, packed as `[in, out / 8]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Awq {
    inputs: usize,
    /// Words in a row, of eight outputs each.
    words: usize,
    group: Option<usize>,
    scales: Dtype,
}

/// Where in a word each of its eight outputs is, in bits: the even ones come first.
const SHIFTS: [u32; 8] = [0, 16, 4, 20, 8, 24, 12, 28];

impl Awq {
    /// Uses the parts.
    ///
    /// # Errors
    /// If they do not fit each other.
    pub(super) fn of(config: &Config, parts: &mut Parts) -> Result<Self, String> {
        let Matrix { rows: inputs, columns: words, .. } = parts.matrix("qweight", &[Dtype::I32])?;
        let zeros = parts.matrix("qzeros", &[Dtype::I32])?;
        let scales = parts.matrix("scales", SCALES)?;
        let groups = inputs.div_ceil(config.group.unwrap_or(inputs));
        let because = format!(" beside qweight [{inputs}, {words}] and {}", numbers::groups(config.group));
        parts.fits("scales", &[scales.rows, scales.columns], &[groups, words.saturating_mul(8)], &because)?;
        parts.fits("qzeros", &[zeros.rows, zeros.columns], &[groups, words], &because)?;
        Ok(Self { inputs, words, group: config.group, scales: scales.dtype })
    }

    pub(super) fn outputs(&self) -> usize {
        self.words.saturating_mul(8)
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// What such weights are called.
    pub(super) fn form(&self) -> String {
        format!("AWQ 4-bit, {}", numbers::groups(self.group))
    }

    /// The weight, `[in, out]`.
    pub(super) fn dequantise(&self, qweight: &[u8], qzeros: &[u8], scales: &[u8]) -> Vec<f32> {
        let (weights, scales) = (numbers::words(qweight), numbers::scales(scales, self.scales));
        let zeros: Vec<f32> = numbers::words(qzeros).into_iter().flat_map(unpacked).collect();
        let (outputs, group) = (self.outputs(), self.group.unwrap_or(self.inputs));
        let mut all = Vec::with_capacity(weights.len() * 8);
        for (input, words) in weights.chunks_exact(self.words).enumerate() {
            let (zeros, scales) = (row(&zeros, outputs, input / group), row(&scales, outputs, input / group));
            let numbers = words.iter().copied().flat_map(unpacked);
            all.extend(numbers.zip(zeros).zip(scales).map(|((number, zero), scale)| scale * (number - zero)));
        }
        all
    }
}

/// The eight numbers of a word, in the order of the outputs.
#[expect(clippy::cast_precision_loss, reason = "the integers have 4 bits")]
fn unpacked(word: u32) -> [f32; 8] {
    SHIFTS.map(|shift| (word >> shift & 15) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_the_even_outputs_before_the_odd_ones() {
        assert_eq!(unpacked(0x7531_6420), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }

    #[test]
    fn a_weight_is_its_scale_times_what_it_is_above_zero() {
        let awq = Awq { inputs: 2, words: 1, group: Some(1), scales: Dtype::F32 };
        let bytes = |words: [u32; 2]| words.map(u32::to_le_bytes).concat();
        let (qweight, qzeros) = (bytes([0x7531_6420, 0xffff_ffff]), bytes([0x1111_1111, 0x7531_6420]));
        let scales: Vec<u8> = (0..16u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
        let expected: Vec<f32> = (0..16u8)
            .map(|n| f32::from(n) * if n < 8 { f32::from(n) - 1.0 } else { 15.0 - f32::from(n - 8) })
            .collect();
        assert_eq!(awq.dequantise(&qweight, &qzeros, &scales), expected);
    }
}
