//! What the operations of a map do.

use fmrai_core::graph::TensorId;
use fmrai_core::tensor::DType;

/// What an operation makes of rows. Every tensor is `[row, channel]`, one row for each token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// The same numbers.
    Same(TensorId),
    /// `(x - mean) / sqrt(variance + eps) * weight + bias`; without `centred` the mean is 0.
    Norm {
        input: TensorId,
        centred: bool,
        eps: f64,
        weight: Option<TensorId>,
        bias: Option<TensorId>,
    },
    /// `x W + bias`, the sum over axis `summed` of a weight of two axes.
    Linear {
        input: TensorId,
        weight: TensorId,
        summed: usize,
        bias: Option<TensorId>,
    },
    Unary(Unary, TensorId),
    /// `left ∘ alpha · right`.
    Binary {
        kind: Binary,
        left: Operand,
        right: Operand,
        alpha: f64,
    },
    /// The mean of each row.
    Mean(TensorId),
    /// The sum of each row.
    Sum(TensorId),
    /// The variance of each row, with the divisor `n - correction`.
    Variance {
        input: TensorId,
        correction: f64,
    },
    /// Some neighbouring channels.
    Part {
        input: TensorId,
        start: usize,
        end: usize,
    },
}

/// What goes into a sum or product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Operand {
    Rows(TensorId),
    /// A tensor that does not depend on what is read.
    Constant(TensorId),
    Number(f64),
}

/// Arithmetic of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Binary {
    pub(super) fn of(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
        }
    }
}

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unary {
    Tanh,
    /// `x Φ(x)`.
    Gelu,
    /// `x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
    GeluTanh,
    Relu,
    Silu,
    Sigmoid,
    Erf,
    Exp,
    Negative,
    SquareRoot,
    ReciprocalRoot,
    Reciprocal,
    Power(f64),
    Clamp {
        least: f64,
        most: f64,
    },
}

impl Unary {
    /// In float64, where libtorch works in float32: both round the same number, but for the last bit.
    pub(super) fn of(self, x: f32) -> f32 {
        let wide = f64::from(x);
        let result = match self {
            Self::Tanh => wide.tanh(),
            Self::Gelu => 0.5 * wide * (1.0 + libm::erf(wide * std::f64::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let scale = (2.0 / std::f64::consts::PI).sqrt();
                0.5 * wide * (1.0 + (scale * (wide + 0.044_715 * wide.powi(3))).tanh())
            }
            Self::Relu => wide.max(0.0),
            Self::Silu => wide / (1.0 + (-wide).exp()),
            Self::Sigmoid => 1.0 / (1.0 + (-wide).exp()),
            Self::Erf => libm::erf(wide),
            Self::Exp => wide.exp(),
            Self::Negative => -wide,
            Self::SquareRoot => wide.sqrt(),
            Self::ReciprocalRoot => wide.sqrt().recip(),
            Self::Reciprocal => wide.recip(),
            Self::Power(exponent) => wide.powf(exponent),
            Self::Clamp { least, most } => wide.max(least).min(most),
        };
        result as f32
    }
}

/// The element type that a result is rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    None,
    Float16,
    BFloat16,
}

impl Rounding {
    pub(super) fn to(dtype: DType) -> Self {
        match dtype {
            DType::Float16 => Self::Float16,
            DType::BFloat16 => Self::BFloat16,
            _ => Self::None,
        }
    }

    /// Rounds numbers where they stand.
    pub(super) fn round<'a>(self, numbers: impl IntoIterator<Item = &'a mut f32>) {
        match self {
            Self::None => {}
            Self::Float16 => {
                numbers.into_iter().for_each(|x| *x = half::f16::from_f32(*x).to_f32());
            }
            Self::BFloat16 => {
                numbers.into_iter().for_each(|x| *x = half::bf16::from_f32(*x).to_f32());
            }
        }
    }
}
