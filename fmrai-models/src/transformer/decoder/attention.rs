//! Causal self-attention with as many or fewer heads of keys and values than of queries: Ainslie et al. 2023, "GQA:
//! Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints", EMNLP.

use std::collections::BTreeMap;

use fmrai_core::structure::AttentionForm;
use fmrai_torch::capture::scope;
use tch::{Kind, TchError, Tensor};

use super::cache::Cache;
use super::family::Projections;
use super::norm::{Norm, narrowed};
use super::rotary::Angles;
use super::spec::DecoderSpec;
use crate::transformer::modules::Linear;

#[derive(Debug)]
pub(crate) struct Attention {
    name: &'static str,
    layer: usize,
    heads: i64,
    key_value_heads: i64,
    width: i64,
    scale: f64,
    softcap: Option<f64>,
    form: AttentionForm,
    inputs: Inputs,
    norms: Option<(Norm, Norm)>,
    out: Linear,
}

/// The linear maps that make queries, keys and values.
#[derive(Debug)]
enum Inputs {
    Separate([Linear; 3]),
    Joined(Linear),
    JoinedByHead(Linear),
}

impl Attention {
    pub(crate) fn new(
        weights: &BTreeMap<String, Tensor>,
        spec: &DecoderSpec,
        form: AttentionForm,
        layer: usize,
    ) -> Result<Self, TchError> {
        let family = spec.family;
        let path = format!("{}.{}", spec.layer_path(layer), family.attention);
        let linear = |name| Linear::new(weights, &path, name, family.linear);
        let norm = |name| Norm::new(weights, &path, name, family.norm, spec.epsilon);
        Ok(Self {
            name: family.attention,
            layer,
            heads: spec.heads,
            key_value_heads: spec.key_value_heads,
            width: spec.head_width,
            scale: spec.layers.get(layer).map_or(1.0, |own| own.scale),
            softcap: spec.attention_softcap,
            // The fused operation cannot soften scores.
            form: if spec.attention_softcap.is_some() { AttentionForm::Eager } else { form },
            inputs: match family.projections {
                Projections::Separate { query, key, value } => {
                    Inputs::Separate([linear(query)?, linear(key)?, linear(value)?])
                }
                Projections::Joined(name) => Inputs::Joined(linear(name)?),
                Projections::JoinedByHead(name) => Inputs::JoinedByHead(linear(name)?),
            },
            norms: family
                .query_key_norms
                .map(|(query, key)| Ok::<_, TchError>((norm(query)?, norm(key)?)))
                .transpose()?,
            out: linear(family.attention_out)?,
        })
    }

    /// `softmax(scale Q Kᵀ + mask) V` for each head, the heads side by side, projected: `x` and the result
    /// `[batch, token, channel]`, `mask` `[batch, 1, query, key]`.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        mask: &Tensor,
        angles: Option<&Angles>,
        cache: Option<&mut Cache>,
    ) -> Result<Tensor, TchError> {
        let _scope = scope(self.name);
        let size = x.size();
        let &[batch, tokens, _] = size.as_slice() else {
            return Err(TchError::Shape(format!("hidden state of shape {size:?}")));
        };
        let (mut query, mut key, mut value) = self.split(x, batch, tokens)?;
        if let Some((query_norm, key_norm)) = &self.norms {
            (query, key) = (query_norm.forward(&query)?, key_norm.forward(&key)?);
        }
        if let Some(angles) = angles {
            (query, key) = (angles.turn(&query)?, angles.turn(&key)?);
        }
        if let Some(cache) = cache {
            (key, value) = cache.extend(self.layer, key, value)?;
        }
        let (key, value) = (self.for_each_head(key)?, self.for_each_head(value)?);
        let context = match self.form {
            AttentionForm::Eager => self.eager(&query, &key, &value, mask)?,
            AttentionForm::Fused => {
                let scale = Some(self.scale);
                Tensor::f_scaled_dot_product_attention(
                    &query,
                    &key,
                    &value,
                    Some(mask),
                    0.0,
                    false,
                    scale,
                    false,
                )?
            }
        };
        let context = context.f_transpose(1, 2)?.f_reshape([batch, tokens, self.heads * self.width])?;
        self.out.forward(&context)
    }

    /// Queries, keys and values, `[batch, head, token, channel]`.
    fn split(&self, x: &Tensor, batch: i64, tokens: i64) -> Result<(Tensor, Tensor, Tensor), TchError> {
        let heads = |x: Tensor| x.f_reshape([batch, tokens, -1, self.width])?.f_transpose(1, 2);
        match &self.inputs {
            Inputs::Separate([query, key, value]) => {
                Ok((heads(query.forward(x)?)?, heads(key.forward(x)?)?, heads(value.forward(x)?)?))
            }
            Inputs::Joined(linear) => {
                let [query, key, value] = thirds(&linear.forward(x)?)?;
                Ok((heads(query)?, heads(key)?, heads(value)?))
            }
            Inputs::JoinedByHead(linear) => {
                let all =
                    linear.forward(x)?.f_reshape([batch, tokens, -1, 3 * self.width])?.f_transpose(1, 2)?;
                let [query, key, value] = thirds(&all)?;
                Ok((query, key, value))
            }
        }
    }

    /// Keys or values repeated so that there are as many heads of them as of queries.
    fn for_each_head(&self, x: Tensor) -> Result<Tensor, TchError> {
        let group = self.heads / self.key_value_heads;
        let size = x.size();
        let &[batch, heads, tokens, width] = size.as_slice() else { return Ok(x) };
        if group == 1 {
            return Ok(x);
        }
        let each = x.f_unsqueeze(2)?.f_expand([batch, heads, group, tokens, width], false)?;
        each.f_reshape([batch, heads * group, tokens, width])
    }

    fn eager(&self, query: &Tensor, key: &Tensor, value: &Tensor, mask: &Tensor) -> Result<Tensor, TchError> {
        let mut scores = query.f_matmul(&key.f_transpose(2, 3)?)?.f_mul_scalar(self.scale)?;
        if let Some(cap) = self.softcap {
            scores = soften(&scores, cap)?;
        }
        let kind = query.f_kind()?;
        let wide = (kind != Kind::Float).then_some(Kind::Float);
        let probabilities = narrowed(scores.f_add(mask)?.f_softmax(-1, wide)?, kind)?;
        probabilities.f_matmul(value)
    }
}

/// Three equal parts along the last axis.
fn thirds(x: &Tensor) -> Result<[Tensor; 3], TchError> {
    let size = x.size();
    <[Tensor; 3]>::try_from(x.f_chunk(3, -1)?).map_err(|_| TchError::Shape(format!("{size:?} in three")))
}

/// `cap tanh(x / cap)`: as `x` where it is small, and never beyond `cap`.
pub(crate) fn soften(x: &Tensor, cap: f64) -> Result<Tensor, TchError> {
    x.f_div_scalar(cap)?.f_tanh()?.f_mul_scalar(cap)
}
