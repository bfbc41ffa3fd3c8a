//! Tensors in a document: floats of two bytes as text, where they are small enough to be there at all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fmrai_core::report::NamedTensor;
use fmrai_core::tensor::TensorData;
use half::f16;
use serde::{Deserialize, Serialize};

/// A tensor of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownTensor {
    /// What it holds.
    pub name: String,
    /// Name of each axis, outermost first.
    pub axes: Vec<String>,
    /// Size of each axis.
    pub shape: Vec<usize>,
    /// Element type in the file.
    pub dtype: String,
    /// Unit of the numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How `data` is to be read; absent where the elements are not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// The elements, row-major and little-endian, as base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data: String,
}

/// How elements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// IEEE 754 binary16: three significant digits.
    Float16,
    /// IEEE 754 binary32, for numbers that the shorter form cannot hold.
    Float32,
}

impl ShownTensor {
    /// A tensor with its elements.
    #[must_use]
    pub fn with_data(tensor: &NamedTensor) -> Self {
        let numbers = numbers(tensor.value.data());
        let fits = |x: &f32| !x.is_finite() || *x == 0.0 || (6e-5..65000.0).contains(&x.abs());
        // Numbers below the normal range of two bytes lose digits: they are kept only where almost none is that small.
        let small = numbers.iter().filter(|x| !fits(x)).count();
        let large = numbers.iter().any(|x| x.is_finite() && x.abs() >= 65000.0);
        let short = !large && (in_unit_interval(&numbers) || small * 50 <= numbers.len());
        let (encoding, bytes): (_, Vec<u8>) = if short {
            let bytes = numbers.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes());
            (Encoding::Float16, bytes.collect())
        } else {
            (Encoding::Float32, numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
        };
        Self { encoding: Some(encoding), data: STANDARD.encode(bytes), ..Self::described(tensor) }
    }

    /// A tensor without its elements.
    #[must_use]
    pub fn described(tensor: &NamedTensor) -> Self {
        Self {
            name: tensor.name.clone(),
            axes: tensor.axes.clone(),
            shape: tensor.value.shape().to_vec(),
            dtype: tensor.value.data().dtype().to_string(),
            unit: tensor.unit.clone(),
            encoding: None,
            data: String::new(),
        }
    }
}

/// Probabilities and shares: an absolute error of a few 1e-8 near zero is none.
fn in_unit_interval(numbers: &[f32]) -> bool {
    numbers.iter().all(|x| x.is_nan() || (0.0..=1.0).contains(x))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a page shows few digits")]
fn numbers(data: &TensorData) -> Vec<f32> {
    match data {
        TensorData::F32(d) => d.clone(),
        TensorData::F64(d) => d.iter().map(|x| *x as f32).collect(),
        TensorData::I64(d) => d.iter().map(|x| *x as f32).collect(),
    }
}

#[cfg(test)]
mod tests {
    use fmrai_core::tensor::TensorValue;

    use super::*;

    fn shown(numbers: Vec<f64>) -> (Encoding, Vec<u8>) {
        let value = TensorValue::new([numbers.len()], numbers.into()).unwrap();
        let shown = ShownTensor::with_data(&NamedTensor::new("x", &["a"], None, value));
        (shown.encoding.unwrap(), STANDARD.decode(shown.data).unwrap())
    }

    #[test]
    fn two_bytes_hold_probabilities_and_four_what_they_cannot() {
        let (encoding, bytes) = shown(vec![0.0, 0.5, 1e-7, f64::NAN]);
        assert_eq!((encoding, bytes.len()), (Encoding::Float16, 8));
        assert_eq!(f16::from_le_bytes([bytes[2], bytes[3]]).to_f32(), 0.5);
        assert!(f16::from_le_bytes([bytes[6], bytes[7]]).is_nan());
        assert_eq!(shown(vec![1e6, 1.0]).0, Encoding::Float32);
        assert_eq!(shown(vec![-1e-6, 2e-6]).0, Encoding::Float32);
        assert_eq!(shown(vec![-1.5, 200.0]).0, Encoding::Float16);
    }
}
