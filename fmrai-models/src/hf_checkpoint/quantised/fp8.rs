//! Weights of 8 bits with an exponent (E4M3), and scales that they are multiplied by.

use safetensors::Dtype;

use super::numbers;
use super::parts::{Matrix, Parts, SCALES};

/// What config.json says of such weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hf_checkpoint) struct Config {
    /// Rows and columns that share a scale of `weight_scale_inv`, or of `weight_scale`; `None` if there are no blocks.
    pub(super) block: Option<[usize; 2]>,
}

/// A weight `[out, in]` whose blocks have a scale each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fp8 {
    outputs: usize,
    inputs: usize,
    /// Rows and columns that share a scale.
    block: [usize; 2],
    scales: Dtype,
}

impl Fp8 {
    /// Uses the weight and its scales.
    ///
    /// # Errors
    /// If they do not fit each other.
    pub(super) fn of(config: &Config, parts: &mut Parts) -> Result<Self, String> {
        let Matrix { rows: outputs, columns: inputs, .. } = parts.matrix("weight", &[Dtype::F8_E4M3])?;
        let dtypes: Vec<Dtype> = SCALES.iter().copied().chain([Dtype::F8_E8M0]).collect();
        let part = if parts.has("weight_scale") && !parts.has("weight_scale_inv") {
            "weight_scale"
        } else {
            "weight_scale_inv"
        };
        let (shape, scales) = parts.tensor(part, &dtypes)?;
        let whole = [outputs, inputs];
        // What is called inverse comes in blocks where config.json has some, and nowhere else.
        let forms = match (config.block, part) {
            (Some(block), "weight_scale_inv") => vec![block],
            (None, "weight_scale_inv") => vec![whole],
            (block, _) => block.into_iter().chain([[1, inputs], whole]).collect(),
        };
        let Some(block) = forms.iter().copied().find(|block| fits(&shape, grid(whole, *block))) else {
            let needed: Vec<String> =
                forms.iter().map(|block| format!("{:?}", grid(whole, *block))).collect();
            let needed = needed.join(" or ");
            let name = parts.name(part);
            return Err(format!("{name}: found {shape:?}, needed {needed} beside a weight of {whole:?}"));
        };
        Ok(Self { outputs, inputs, block, scales })
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// The weight, `[out, in]`.
    pub(super) fn dequantise(&self, weight: &[u8], scales: &[u8]) -> Vec<f32> {
        let [rows, columns] = self.block;
        let scales = numbers::scales(scales, self.scales);
        let values: Vec<f32> = (0..=u8::MAX).map(e4m3).collect();
        let value = |byte: u8| values.get(usize::from(byte)).copied().unwrap_or(f32::NAN);
        let mut all = Vec::with_capacity(weight.len());
        for (row, bytes) in weight.chunks_exact(self.inputs).enumerate() {
            let scales = numbers::row(&scales, self.inputs.div_ceil(columns), row / rows);
            for (block, scale) in bytes.chunks(columns).zip(scales) {
                all.extend(block.iter().map(|byte| value(*byte) * scale));
            }
        }
        all
    }
}

/// How many blocks there are.
fn grid(sizes: [usize; 2], block: [usize; 2]) -> [usize; 2] {
    let [rows, columns] = sizes;
    [rows.div_ceil(block[0]), columns.div_ceil(block[1])]
}

/// True for the shape of as many scales. Axes of one element may be left out where there is one scale, or one for each row.
fn fits(shape: &[usize], [rows, columns]: [usize; 2]) -> bool {
    match shape {
        [] => rows == 1 && columns == 1,
        &[scales] => scales == rows && columns == 1,
        shape => shape == [rows, columns],
    }
}

/// A number of one bit of sign, four of exponent and three of mantissa. It has no infinities; all bits but the sign set are NaN.
fn e4m3(byte: u8) -> f32 {
    let (exponent, mantissa) = (byte >> 3 & 15, f32::from(byte & 7));
    let size = match exponent {
        15 if byte & 7 == 7 => f32::NAN,
        0 => mantissa / 512.0,
        _ => (8.0 + mantissa) * 2f32.powi(i32::from(exponent) - 10),
    };
    if byte & 0x80 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use tch::{Kind, Tensor};

    use super::*;

    #[test]
    fn each_byte_is_the_number_that_libtorch_reads() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        let tensor = Tensor::from_data_size(&bytes, &[256], Kind::Float8e4m3fn).to_kind(Kind::Float);
        let expected = Vec::<f32>::try_from(tensor).unwrap();
        for (byte, expected) in bytes.into_iter().zip(expected) {
            let value = e4m3(byte);
            assert!(
                value == expected || value.is_nan() && expected.is_nan(),
                "{byte:#x}: {value}, {expected}"
            );
        }
    }

    #[test]
    fn each_block_has_its_scale() {
        // Three rows and five columns of ones, in blocks of two by three.
        let fp8 = Fp8 { outputs: 3, inputs: 5, block: [2, 3], scales: Dtype::F32 };
        let scales: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let expected = [[1., 1., 1., 2., 2.], [1., 1., 1., 2., 2.], [3., 3., 3., 4., 4.]];
        assert_eq!(fp8.dequantise(&[0x38; 15], &scales), expected.concat());
    }

    #[test]
    fn scales_are_as_many_as_there_are_blocks() {
        assert_eq!(grid([64, 160], [128, 128]), [1, 2]);
        let cases: [(&[usize], [usize; 2], bool); 8] = [
            (&[], [1, 1], true),
            (&[1], [1, 1], true),
            (&[1, 1], [1, 1], true),
            (&[3], [3, 1], true),
            (&[3, 1], [3, 1], true),
            (&[3], [1, 3], false),
            (&[], [1, 2], false),
            (&[1, 2, 1], [1, 2], false),
        ];
        for (shape, grid, expected) in cases {
            assert_eq!(fits(shape, grid), expected, "{shape:?} {grid:?}");
        }
    }
}
