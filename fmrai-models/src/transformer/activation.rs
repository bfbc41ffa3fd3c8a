//! Activation functions of feed-forward blocks.

use tch::{TchError, Tensor};

/// An activation function, applied to each element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x Φ(x)`, Φ the normal distribution function.
    Gelu,
    /// `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`.
    GeluTanh,
    /// `x σ(1.702 x)`, σ the logistic function.
    QuickGelu,
    /// `max(x, 0)`.
    Relu,
    /// `x σ(x)`.
    Silu,
    /// `tanh x`.
    Tanh,
}

impl Activation {
    /// All names that transformers gives them and that are supported, sorted.
    pub(crate) const NAMES: &[&str] = &[
        "gelu",
        "gelu_fast",
        "gelu_new",
        "gelu_python",
        "gelu_pytorch_tanh",
        "quick_gelu",
        "relu",
        "silu",
        "swish",
        "tanh",
    ];

    /// The function that transformers calls `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "gelu" | "gelu_python" => Self::Gelu,
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Self::GeluTanh,
            "quick_gelu" => Self::QuickGelu,
            "relu" => Self::Relu,
            "silu" | "swish" => Self::Silu,
            "tanh" => Self::Tanh,
            _ => return None,
        })
    }

    /// The function of each element of `x`, which has any shape and a floating-point type.
    pub(crate) fn apply(self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Gelu => x.f_gelu("none"),
            Self::GeluTanh => x.f_gelu("tanh"),
            Self::QuickGelu => x.f_mul_scalar(1.702)?.f_sigmoid()?.f_mul(x),
            Self::Relu => x.f_relu(),
            Self::Silu => x.f_silu(),
            Self::Tanh => x.f_tanh(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fmrai_core::tolerance::Tolerance;

    fn logistic(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn each_function_is_its_documented_formula() {
        // Φ(x) at -2, -0.5, 0, 1, 3, from a table of the normal distribution.
        let points = [-2.0, -0.5, 0.0, 1.0, 3.0];
        let normal = [0.022_750_131_9, 0.308_537_538_7, 0.5, 0.841_344_746_1, 0.998_650_102];
        let tanh = |x: f64| {
            x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh()) / 2.0
        };
        for name in Activation::NAMES {
            let function = Activation::named(name).unwrap();
            let expected: Vec<f64> = points
                .iter()
                .zip(normal)
                .map(|(&x, phi)| match function {
                    Activation::Gelu => x * phi,
                    Activation::GeluTanh => tanh(x),
                    Activation::QuickGelu => x * logistic(1.702 * x),
                    Activation::Relu => x.max(0.0),
                    Activation::Silu => x * logistic(x),
                    Activation::Tanh => x.tanh(),
                })
                .collect();
            let actual = function.apply(&Tensor::from_slice(&points)).unwrap();
            let actual = Vec::<f64>::try_from(&actual).unwrap();
            Tolerance::STATISTIC.check(&actual, &expected).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        assert_eq!(Activation::named("softplus"), None);
    }
}
