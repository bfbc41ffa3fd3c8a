//! Rotary positions: Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", and the ways to
//! stretch them to longer texts.
//!
//! The first `width` channels of a query or key are pairs `(i, i + width / 2)`, and pair `i` of a token at position `p` is
//! turned by the angle `p θ^(-2i / width)`.

use std::f64::consts::TAU;

use tch::{Device, Kind, TchError, Tensor};

use super::norm::narrowed;

/// One kind of rotary positions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RotarySpec {
    /// Name of the buffer of frequencies, as in transformers.
    pub(crate) buffer: &'static str,
    /// The base θ.
    pub(crate) theta: f64,
    /// Channels of each head that are turned; the others stay.
    pub(crate) width: i64,
    pub(crate) scaling: Scaling,
}

/// How the frequencies are stretched. `factor` is by how much longer texts become.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scaling {
    None,
    /// All frequencies divided by the factor: Chen et al. 2023, "Extending Context Window of Large Language Models via
    /// Positional Interpolation".
    Linear {
        factor: f64,
    },
    /// θ grows with the length of the text beyond `positions`: bloc97 and emozilla's "dynamic NTK" scaling.
    Dynamic {
        factor: f64,
        positions: f64,
    },
    /// Interpolation by parts: Peng et al. 2023, "YaRN: Efficient Context Window Extension of Large Language Models".
    Yarn {
        factor: f64,
        /// What cosines and sines are multiplied by.
        attention_factor: f64,
        /// Turns over `positions` above which a pair of channels keeps its frequency.
        beta_fast: f64,
        /// Turns over `positions` below which it is divided by the factor.
        beta_slow: f64,
        /// Longest text the model was trained on before stretching.
        positions: f64,
        /// Whether the bounds are rounded outwards to whole pairs.
        truncate: bool,
    },
    /// The frequency of each pair divided by a number of its own, which the checkpoint gives.
    Divided {
        by: Vec<f32>,
    },
    /// As in Llama 3.1: wavelengths above `positions / low` are divided by the factor, those below `positions / high`
    /// are kept, those between are mixed.
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        positions: f64,
    },
}

impl Scaling {
    /// The factor, and the positions it applies to where they are not all that the model has.
    pub(crate) fn stretch(&self) -> (f64, Option<f64>) {
        match *self {
            Self::None | Self::Divided { .. } => (1.0, None),
            Self::Linear { factor } => (factor, None),
            Self::Dynamic { factor, positions }
            | Self::Yarn { factor, positions, .. }
            | Self::Llama3 { factor, positions, .. } => (factor, Some(positions)),
        }
    }
}

/// Cosines and sines of a batch, `[batch or 1, 1, token, width]`, in the type of the model.
#[derive(Debug)]
pub(crate) struct Angles {
    cos: Tensor,
    sin: Tensor,
    width: i64,
}

/// The frequencies of one kind of rotary positions.
#[derive(Debug)]
pub(crate) struct Rotary {
    spec: RotarySpec,
    /// `[width / 2]` of float32: frequencies, or `2i / width` where they depend on the length of the text.
    frequencies: Tensor,
    attention_factor: f64,
}

impl Rotary {
    pub(crate) fn new(spec: &RotarySpec, device: Device) -> Result<Self, TchError> {
        // As transformers computes them, in float32: at position 100 000 the last bit of a frequency is visible.
        let exponents = Tensor::f_arange_start_step(0, spec.width, 2, (Kind::Int64, Device::Cpu))?;
        #[expect(clippy::cast_precision_loss, reason = "a width of heads is far below 2^52")]
        let width = spec.width as f64;
        let exponents = exponents.f_to_kind(Kind::Float)?.f_div_scalar(width)?;
        let frequencies = match spec.scaling {
            Scaling::Dynamic { .. } => exponents,
            _ => {
                let base = Tensor::f_pow_scalar(spec.theta, &exponents)?;
                let periods: Vec<f32> = Vec::try_from(&base)?;
                let frequencies: Vec<f32> = periods.iter().map(|period| 1.0 / period).collect();
                Tensor::f_from_slice(&stretched(spec, frequencies))?
            }
        };
        let attention_factor = match spec.scaling {
            Scaling::Yarn { attention_factor, .. } => attention_factor,
            _ => 1.0,
        };
        Ok(Self { spec: spec.clone(), frequencies: frequencies.f_to_device(device)?, attention_factor })
    }

    /// Name of the buffer, and the buffer.
    pub(crate) fn buffer(&self) -> (&'static str, &Tensor) {
        (self.spec.buffer, &self.frequencies)
    }

    /// The angles at `positions` `[batch or 1, token]` of int64, for a model that computes in `kind`.
    pub(crate) fn angles(&self, positions: &Tensor, kind: Kind) -> Result<Angles, TchError> {
        let frequencies = match self.spec.scaling {
            Scaling::Dynamic { factor, positions: trained } => {
                // One formula for all lengths, so that the graph is always the same.
                let tokens = positions.f_max()?.f_add_scalar(1)?.f_to_kind(Kind::Float)?;
                let ratio = tokens.f_div_scalar(trained)?.f_clamp_min(1.0)?;
                #[expect(clippy::cast_precision_loss, reason = "a width of heads is far below 2^52")]
                let width = self.spec.width as f64;
                let growth = ratio.f_mul_scalar(factor)?.f_sub_scalar(factor - 1.0)?;
                let growth = growth.f_pow_tensor_scalar(width / (width - 2.0))?;
                growth.f_mul_scalar(self.spec.theta)?.f_pow(&self.frequencies)?.f_reciprocal()?
            }
            _ => self.frequencies.shallow_clone(),
        };
        let angles = positions.f_unsqueeze(-1)?.f_to_kind(Kind::Float)?.f_mul(&frequencies)?;
        let angles = Tensor::f_cat(&[&angles, &angles], -1)?.f_unsqueeze(1)?;
        let part = |of: Tensor| -> Result<Tensor, TchError> {
            let scale = (self.attention_factor - 1.0).abs() > f64::EPSILON;
            narrowed(if scale { of.f_mul_scalar(self.attention_factor)? } else { of }, kind)
        };
        Ok(Angles { cos: part(angles.f_cos()?)?, sin: part(angles.f_sin()?)?, width: self.spec.width })
    }
}

impl Angles {
    /// Turns queries or keys, `[batch, head, token, channel]`.
    pub(crate) fn turn(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let channels = x.size().last().copied().unwrap_or(0);
        if channels == self.width {
            return self.turn_all(x);
        }
        let turned = self.turn_all(&x.f_slice(-1, 0, self.width, 1)?)?;
        Tensor::f_cat(&[&turned, &x.f_slice(-1, self.width, channels, 1)?], -1)
    }

    fn turn_all(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let half = self.width / 2;
        let first = x.f_slice(-1, 0, half, 1)?;
        let second = x.f_slice(-1, half, self.width, 1)?;
        let turned = Tensor::f_cat(&[&second.f_neg()?, &first], -1)?;
        x.f_mul(&self.cos)?.f_add(&turned.f_mul(&self.sin)?)
    }
}

/// The frequencies after stretching. Each step in float32, as in transformers.
#[expect(
    clippy::cast_possible_truncation,
    reason = "parameters of a config become float32 in transformers too"
)]
fn stretched(spec: &RotarySpec, frequencies: Vec<f32>) -> Vec<f32> {
    match spec.scaling {
        Scaling::None | Scaling::Dynamic { .. } => frequencies,
        Scaling::Divided { ref by } => frequencies.into_iter().zip(by).map(|(f, by)| f / by).collect(),
        Scaling::Linear { factor } => frequencies.into_iter().map(|f| f / factor as f32).collect(),
        Scaling::Llama3 { factor, low, high, positions } => {
            let (longest, shortest) = (positions / low, positions / high);
            let stretch = |frequency: f32| {
                let wavelength = TAU as f32 / frequency;
                let divided = frequency / factor as f32;
                if f64::from(wavelength) > longest {
                    divided
                } else if f64::from(wavelength) < shortest {
                    frequency
                } else {
                    let kept = (positions as f32 / wavelength - low as f32) / (high - low) as f32;
                    (1.0 - kept) * divided + kept * frequency
                }
            };
            frequencies.into_iter().map(stretch).collect()
        }
        Scaling::Yarn { factor, beta_fast, beta_slow, positions, truncate, .. } => {
            #[expect(clippy::cast_precision_loss, reason = "a width of heads is far below 2^52")]
            let width = spec.width as f64;
            // The pair that turns this often over the positions of the original model.
            let pair = |turns: f64| width * (positions / (turns * TAU)).ln() / (2.0 * spec.theta.ln());
            let (mut low, mut high) = (pair(beta_fast), pair(beta_slow));
            if truncate {
                (low, high) = (low.floor(), high.ceil());
            }
            (low, high) = (low.max(0.0), high.min(width - 1.0));
            if low == high {
                high += 0.001;
            }
            let stretch = |(index, frequency): (usize, f32)| {
                #[expect(clippy::cast_precision_loss, reason = "an index of channels is far below 2^23")]
                let kept = 1.0 - ((index as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0);
                frequency / factor as f32 * (1.0 - kept) + frequency * kept
            };
            frequencies.into_iter().enumerate().map(stretch).collect()
        }
    }
}
