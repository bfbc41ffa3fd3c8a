//! One layer: attention, then a feed-forward block, each read from and added to the residual stream.

use std::collections::BTreeMap;

use fmrai_core::structure::AttentionForm;
use fmrai_torch::capture::scope;
use tch::{TchError, Tensor};

use super::attention::Attention;
use super::cache::Cache;
use super::norm::Norm;
use super::rotary::Angles;
use super::spec::DecoderSpec;
use crate::transformer::activation::Activation;
use crate::transformer::modules::Linear;

/// `W₂ act(W₁ x)`, or `W₂ (act(W_g x) ∘ W₁ x)` with a gate: Shazeer 2020, "GLU Variants Improve Transformer".
#[derive(Debug)]
struct FeedForward {
    name: &'static str,
    gate: Option<Linear>,
    input: Linear,
    activation: Activation,
    output: Linear,
}

impl FeedForward {
    fn new(weights: &BTreeMap<String, Tensor>, spec: &DecoderSpec, layer: &str) -> Result<Self, TchError> {
        let family = spec.family;
        let path = format!("{layer}.{}", family.ffn);
        let linear = |name| Linear::new(weights, &path, name, family.linear);
        Ok(Self {
            name: family.ffn,
            gate: family.ffn_gate.map(linear).transpose()?,
            input: linear(family.ffn_in)?,
            activation: spec.activation,
            output: linear(family.ffn_out)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let _scope = scope(self.name);
        let neurons = match &self.gate {
            None => self.activation.apply(&self.input.forward(x)?)?,
            Some(gate) => self.activation.apply(&gate.forward(x)?)?.f_mul(&self.input.forward(x)?)?,
        };
        self.output.forward(&neurons)
    }
}

#[derive(Debug)]
pub(crate) struct Layer {
    /// Module path in the decoder, such as `layers.0`.
    name: String,
    before_attention: Norm,
    attention: Attention,
    after_attention: Option<Norm>,
    before_ffn: Norm,
    ffn: FeedForward,
    after_ffn: Option<Norm>,
    parallel: bool,
}

impl Layer {
    pub(crate) fn new(
        weights: &BTreeMap<String, Tensor>,
        spec: &DecoderSpec,
        form: AttentionForm,
        layer: usize,
    ) -> Result<Self, TchError> {
        let family = spec.family;
        let path = spec.layer_path(layer);
        let norm = |name| Norm::new(weights, &path, name, family.norm, spec.epsilon);
        Ok(Self {
            before_attention: norm(family.norms.before_attention)?,
            attention: Attention::new(weights, spec, form, layer)?,
            after_attention: family.norms.after_attention.map(norm).transpose()?,
            before_ffn: norm(family.norms.before_ffn)?,
            ffn: FeedForward::new(weights, spec, &path)?,
            after_ffn: family.norms.after_ffn.map(norm).transpose()?,
            parallel: spec.parallel,
            name: format!("{}.{layer}", family.layers),
        })
    }

    /// `x` and the result `[batch, token, channel]`, `mask` `[batch, 1, query, key]`.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        mask: &Tensor,
        angles: Option<&Angles>,
        cache: Option<&mut Cache>,
    ) -> Result<Tensor, TchError> {
        let _scope = scope(&self.name);
        let mut attended = self.attention.forward(&self.before_attention.forward(x)?, mask, angles, cache)?;
        if let Some(norm) = &self.after_attention {
            attended = norm.forward(&attended)?;
        }
        if self.parallel {
            let written = self.ffn.forward(&self.before_ffn.forward(x)?)?;
            return written.f_add(&attended)?.f_add(x);
        }
        let x = x.f_add(&attended)?;
        let mut written = self.ffn.forward(&self.before_ffn.forward(&x)?)?;
        if let Some(norm) = &self.after_ffn {
            written = norm.forward(&written)?;
        }
        x.f_add(&written)
    }
}
