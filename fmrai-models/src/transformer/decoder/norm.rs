//! The norms of decoders.

use std::collections::BTreeMap;

use fmrai_torch::capture::scope;
use tch::{Kind, TchError, Tensor};

use super::family::NormKind;
use crate::transformer::modules::{LayerNorm, join, weight};

/// A norm over the last axis.
#[derive(Debug)]
pub(crate) enum Norm {
    Layer(LayerNorm),
    Rms(RmsNorm),
}

impl Norm {
    /// The module called `name` in `outer`.
    pub(crate) fn new(
        weights: &BTreeMap<String, Tensor>,
        outer: &str,
        name: &'static str,
        kind: NormKind,
        epsilon: f64,
    ) -> Result<Self, TchError> {
        Ok(match kind {
            NormKind::Layer => Self::Layer(LayerNorm::new(weights, outer, name, epsilon)?),
            NormKind::Rms | NormKind::RmsPlusOne => Self::Rms(RmsNorm {
                name,
                weight: weight(weights, &join(outer, name, "weight"))?,
                plus_one: kind == NormKind::RmsPlusOne,
                epsilon,
            }),
        })
    }

    /// `x [.., channel]` to the same shape and element type.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Layer(norm) => norm.forward(x),
            Self::Rms(norm) => norm.forward(x),
        }
    }
}

/// `x / sqrt(mean(x²) + epsilon) * weight`, or `* (1 + weight)`: Zhang and Sennrich 2019, "Root Mean Square Layer
/// Normalization", NeurIPS. Computed in float32 whatever the type of `x`.
#[derive(Debug)]
pub(crate) struct RmsNorm {
    name: &'static str,
    weight: Tensor,
    plus_one: bool,
    epsilon: f64,
}

impl RmsNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let _scope = scope(self.name);
        let kind = x.f_kind()?;
        let wide = widened(x, kind)?;
        let mean = wide.f_pow_tensor_scalar(2)?.f_mean_dim(-1, true, None)?;
        let normed = wide.f_mul(&mean.f_add_scalar(self.epsilon)?.f_rsqrt()?)?;
        // The families round at different places, which matters in 16 bits.
        if self.plus_one {
            let factor = widened(&self.weight, kind)?.f_add_scalar(1.0)?;
            narrowed(normed.f_mul(&factor)?, kind)
        } else {
            self.weight.f_mul(&narrowed(normed, kind)?)
        }
    }
}

/// In float32; no operation where it is that already.
pub(crate) fn widened(x: &Tensor, kind: Kind) -> Result<Tensor, TchError> {
    if kind == Kind::Float { Ok(x.shallow_clone()) } else { x.f_to_kind(Kind::Float) }
}

/// Back in `kind`; no operation where it is float32.
pub(crate) fn narrowed(x: Tensor, kind: Kind) -> Result<Tensor, TchError> {
    if kind == Kind::Float { Ok(x) } else { x.f_to_kind(kind) }
}
