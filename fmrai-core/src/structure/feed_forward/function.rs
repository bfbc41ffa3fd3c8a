//! Activation functions, recognised by their values.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The function between the two linear maps of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationFunction {
    /// `x·Φ(x)`, Φ the standard normal distribution (Hendrycks and Gimpel 2016).
    Gelu,
    /// `½x(1 + tanh(√(2/π)(x + 0.044715x³)))`, also known as `gelu_new`.
    GeluTanh,
    /// `x·σ(1.702x)`.
    QuickGelu,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)²` (So et al. 2021).
    ReluSquared,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x·σ(x)`, also known as `swish`.
    Silu,
    /// `x·tanh(ln(1 + eˣ))`.
    Mish,
    /// `x` above 0, `eˣ - 1` below.
    Elu,
    /// `λx` above 0, `λα(eˣ - 1)` below (Klambauer et al. 2017).
    Selu,
    /// `x` above 0, `0.01x` below.
    LeakyRelu,
    /// `x·min(max(x + 3, 0), 6)/6`.
    HardSwish,
    /// `1/(1 + e⁻ˣ)`.
    Sigmoid,
    /// `tanh(x)`.
    Tanh,
    /// `ln(1 + eˣ)`.
    Softplus,
    /// `x`: the block multiplies two linear maps without a function.
    Identity,
    /// None of these, or one with learned parameters.
    Other,
}

impl ActivationFunction {
    /// Its name, as it is serialized.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::QuickGelu => "quick_gelu",
            Self::Relu => "relu",
            Self::ReluSquared => "relu_squared",
            Self::Relu6 => "relu6",
            Self::Silu => "silu",
            Self::Mish => "mish",
            Self::Elu => "elu",
            Self::Selu => "selu",
            Self::LeakyRelu => "leaky_relu",
            Self::HardSwish => "hard_swish",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softplus => "softplus",
            Self::Identity => "identity",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ActivationFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
