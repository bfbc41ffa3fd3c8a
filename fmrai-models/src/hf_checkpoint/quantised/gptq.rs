//! Weights of GPTQ: integers of a few bits, packed along the inputs, with a scale and a zero for each output in each group of inputs.
//!
//! `w[o, i] = scales[g, o] * (q[i, o] - zeros[g, o])` where `g` is the group of input `i`.

use safetensors::Dtype;

use super::numbers::{self, row};
use super::parts::{Matrix, Parts, SCALES};

/// What config.json says of such weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hf_checkpoint) struct Config {
    pub(super) bits: usize,
    /// Inputs in a group; `None` if all are one.
    pub(super) group: Option<usize>,
    /// Zeros are stored as one less than they are, as the first format does.
    pub(super) zeros_less_one: bool,
    /// Some modules have other bits and groups, which their shapes tell.
    pub(super) differs: bool,
}

/// The numbers of bits that fill a word of 32.
pub(super) const BITS: [usize; 3] = [2, 4, 8];

/// A weight, packed as `[in / n, out]` where `n` numbers are a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gptq {
    outputs: usize,
    inputs: usize,
    bits: usize,
    group: Option<usize>,
    groups: usize,
    scales: Dtype,
    zeros_less_one: bool,
}

impl Gptq {
    /// Uses the parts, and the groups of the inputs where these are told one by one.
    ///
    /// # Errors
    /// If they do not fit each other.
    pub(super) fn of(config: &Config, parts: &mut Parts) -> Result<Self, String> {
        let Matrix { rows, columns: outputs, .. } = parts.matrix("qweight", &[Dtype::I32])?;
        let zeros = parts.matrix("qzeros", &[Dtype::I32])?;
        let scales = parts.matrix("scales", SCALES)?;
        let bits = if config.differs { bits_of(zeros, outputs) } else { Some(config.bits) };
        let Some(bits) = bits.filter(|bits| outputs.is_multiple_of(32 / bits)) else {
            return Err(format!(
                "{}: found [{}, {}], which are no zeros of 2, 4 or 8 bits for the {outputs} outputs of qweight [{rows}, {outputs}]",
                parts.name("qzeros"),
                zeros.rows,
                zeros.columns
            ));
        };
        let inputs = rows.saturating_mul(32 / bits);
        let group = if config.differs { Some(inputs.div_ceil(scales.rows)) } else { config.group };
        let groups = inputs.div_ceil(group.unwrap_or(inputs));
        let because =
            format!(" beside qweight [{rows}, {outputs}], {bits} bits and {}", numbers::groups(group));
        parts.fits("scales", &[scales.rows, scales.columns], &[groups, outputs], &because)?;
        parts.fits("qzeros", &[zeros.rows, zeros.columns], &[groups, outputs * bits / 32], &because)?;
        if parts.has("g_idx") {
            let (shape, _) = parts.tensor("g_idx", &[Dtype::I32])?;
            parts.fits("g_idx", &shape, &[inputs], &because)?;
        }
        let zeros_less_one = config.zeros_less_one;
        Ok(Self { outputs, inputs, bits, group, groups, scales: scales.dtype, zeros_less_one })
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// What such weights are called.
    pub(super) fn form(&self) -> String {
        format!("GPTQ {}-bit, {}", self.bits, numbers::groups(self.group))
    }

    /// The weight, `[in, out]`. `g_idx` tells the group of each input; without it they are as they stand.
    ///
    /// # Errors
    /// If an input is of no group that there is.
    #[expect(clippy::cast_precision_loss, reason = "the integers have 8 bits at most")]
    pub(super) fn dequantise(
        &self,
        qweight: &[u8],
        qzeros: &[u8],
        scales: &[u8],
        g_idx: Option<&[u8]>,
    ) -> Result<Vec<f32>, String> {
        let groups = self.groups_of_inputs(g_idx)?;
        let (weights, scales) = (numbers::words(qweight), numbers::scales(scales, self.scales));
        let zeros = self.zeros(qzeros);
        let lanes = 32 / self.bits;
        let mut all = Vec::with_capacity(weights.len() * lanes);
        for (input, group) in groups.into_iter().enumerate() {
            let (zeros, scales) = (row(&zeros, self.outputs, group), row(&scales, self.outputs, group));
            let words = row(&weights, self.outputs, input / lanes);
            let (shift, mask) = (input % lanes * self.bits, (1 << self.bits) - 1);
            let numbers = words.iter().map(|word| (word >> shift & mask) as f32);
            all.extend(numbers.zip(zeros).zip(scales).map(|((number, zero), scale)| scale * (number - zero)));
        }
        Ok(all)
    }

    /// The zeros `[group, out]` as numbers.
    #[expect(clippy::cast_precision_loss, reason = "the integers have 8 bits at most")]
    fn zeros(&self, qzeros: &[u8]) -> Vec<f32> {
        let mask = (1 << self.bits) - 1;
        // One in each lane. Where a zero is stored as -1, one was borrowed from the lane above it, and comes back to it here.
        let one = if self.zeros_less_one { u32::MAX / mask } else { 0 };
        let lanes = (0..32).step_by(self.bits);
        numbers::words(qzeros)
            .into_iter()
            .map(|word| word.wrapping_add(one))
            .flat_map(|word| lanes.clone().map(move |shift| (word >> shift & mask) as f32))
            .collect()
    }

    fn groups_of_inputs(&self, g_idx: Option<&[u8]>) -> Result<Vec<usize>, String> {
        let Some(bytes) = g_idx else {
            let group = self.group.unwrap_or(self.inputs);
            return Ok((0..self.inputs).map(|input| input / group).collect());
        };
        let told = bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).enumerate();
        let check = |(input, group): (usize, i32)| {
            usize::try_from(group).ok().filter(|group| *group < self.groups).ok_or_else(|| {
                format!("input {input} is of group {group}, groups from 0 to {} are needed", self.groups - 1)
            })
        };
        told.map(check).collect()
    }
}

/// The bits of each zero, where `zeros` are those of so many outputs.
fn bits_of(zeros: Matrix, outputs: usize) -> Option<usize> {
    let words = zeros.columns.checked_mul(32)?;
    BITS.into_iter().find(|bits| outputs.checked_mul(*bits) == Some(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    /// Four outputs of 8 bits, eight inputs in groups of four.
    const GPTQ: Gptq = Gptq {
        outputs: 4,
        inputs: 8,
        bits: 8,
        group: Some(4),
        groups: 2,
        scales: Dtype::F32,
        zeros_less_one: false,
    };

    #[test]
    fn a_weight_is_its_scale_times_what_it_is_above_zero() {
        // Input i of output o is 10 o + i.
        let number = |input: u32, output: u32| 10 * output + input;
        let word =
            |first: u32, output: u32| (0..4).map(|lane| number(first + lane, output) << (8 * lane)).sum();
        let qweight = bytes([0, 4].into_iter().flat_map(|first| (0..4).map(move |o| word(first, o))));
        let qzeros = bytes([0x0403_0201, 0x0807_0605]);
        let scales = floats(&[1.0, 0.5, 0.25, -2.0, 3.0, 5.0, 7.0, 9.0]);
        let expected = |group: &dyn Fn(usize) -> usize| -> Vec<f32> {
            let (zeros, scales) = ([1, 2, 3, 4, 5, 6, 7, 8], [1.0, 0.5, 0.25, -2.0, 3.0, 5.0, 7.0, 9.0]);
            let one = |i: usize, o: usize| {
                let at = 4 * group(i) + o;
                scales[at] * f32::from(i16::try_from(10 * o + i).unwrap() - zeros[at])
            };
            (0..8).flat_map(|i| (0..4).map(move |o| (i, o))).map(|(i, o)| one(i, o)).collect()
        };
        let plain = GPTQ.dequantise(&qweight, &qzeros, &scales, None).unwrap();
        assert_eq!(plain, expected(&|input| input / 4));
        let g_idx = bytes([0, 1, 0, 1, 1, 1, 0, 0]);
        let shuffled = GPTQ.dequantise(&qweight, &qzeros, &scales, Some(&g_idx)).unwrap();
        assert_eq!(shuffled, expected(&|input| [0, 1, 0, 1, 1, 1, 0, 0][input]));
        // Stored as one less. 1 - 1 is 0, and of 0 - 1 one is borrowed from the next lane.
        let first = Gptq { zeros_less_one: true, ..GPTQ };
        let less_one = bytes([0x0403_0201 - 0x0101_0101, 0x0807_0605 - 0x0101_0101]);
        assert_eq!(first.dequantise(&qweight, &less_one, &scales, None).unwrap(), plain);
        assert_eq!(first.zeros(&bytes([0x0010_0800u32.wrapping_sub(0x0101_0101)])), [0.0, 8.0, 16.0, 0.0]);
    }

    #[test]
    fn groups_that_are_not_there_are_errors() {
        let error = |group: u32| {
            let g_idx = bytes([0, 0, 0, group, 0, 0, 0, 0]);
            GPTQ.dequantise(&[0; 32], &[0; 8], &[0; 32], Some(&g_idx)).unwrap_err()
        };
        assert_eq!(error(2), "input 3 is of group 2, groups from 0 to 1 are needed");
        assert_eq!(error(u32::MAX), "input 3 is of group -1, groups from 0 to 1 are needed");
    }

    #[test]
    fn shapes_tell_the_bits_of_zeros() {
        let zeros = |columns| Matrix { rows: 1, columns, dtype: Dtype::I32 };
        assert_eq!([2, 4, 8].map(|columns| bits_of(zeros(columns), 32)), [Some(2), Some(4), Some(8)]);
        assert_eq!([3, 5, 16].map(|columns| bits_of(zeros(columns), 32)), [None; 3]);
        assert_eq!(bits_of(zeros(usize::MAX), usize::MAX), None);
    }
}
