//! What an encoder computes.

use std::collections::BTreeMap;

use fmrai_core::structure::AttentionForm;
use fmrai_torch::capture::scope;
use tch::{Kind, TchError, Tensor};

use super::config::{EMBEDDINGS, EncoderConfig, POOLER};
use super::family::Positions;
use crate::transformer::activation::Activation;
use crate::transformer::inputs::Inputs;
use crate::transformer::modules::{Embedding, LayerNorm, Layout, Linear, inside, lowest};
use crate::transformer::on_demand::{OnDemand, PassError};

/// What the encoder computes.
pub(crate) struct Outputs {
    /// `[batch, token, channel]`.
    pub(crate) last_hidden_state: Tensor,
    /// `[batch, channel]`.
    pub(crate) pooler: Option<Tensor>,
}

#[derive(Debug)]
pub(crate) struct Encoder {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    pooler: Option<Linear>,
}

impl Encoder {
    pub(crate) fn new(
        weights: &BTreeMap<String, Tensor>,
        config: &EncoderConfig,
        form: AttentionForm,
    ) -> Result<Self, TchError> {
        let pooler = weights.contains_key("pooler.dense.weight");
        Ok(Self {
            embeddings: Embeddings::new(weights, config)?,
            layers: (0..config.layers)
                .map(|index| Layer::new(weights, config, form, index))
                .collect::<Result<_, _>>()?,
            pooler: pooler.then(|| Linear::new(weights, POOLER, "dense", Layout::OutIn)).transpose()?,
        })
    }

    pub(crate) fn forward(&self, inputs: &Inputs, weights: &OnDemand) -> Result<Outputs, PassError> {
        let held = weights.hold(EMBEDDINGS)?;
        let mut hidden = self.embeddings.forward(inputs)?;
        held.give_up(&hidden);
        let mask = additive(&inputs.mask, hidden.f_kind()?)?;
        for layer in &self.layers {
            let held = weights.hold(&layer.path)?;
            hidden = layer.forward(&hidden, &mask)?;
            held.give_up(&hidden);
        }
        let pooler = match &self.pooler {
            None => None,
            Some(dense) => {
                let _scope = scope(POOLER);
                let held = weights.hold(POOLER)?;
                let pooled = dense.forward(&hidden.f_select(1, 0)?)?.f_tanh()?;
                held.give_up(&pooled);
                Some(pooled)
            }
        };
        Ok(Outputs { last_hidden_state: hidden, pooler })
    }
}

/// What is added to attention scores, `[batch, 1, 1, key]`: 0 for tokens, the lowest finite number for padding.
///
/// In a sample without any token nothing is lowered: the sums would overflow to -infinity in float16, and its
/// probabilities be NaN.
fn additive(mask: &Tensor, kind: Kind) -> Result<Tensor, TchError> {
    let tokens = mask.f_to_kind(Kind::Bool)?;
    let nothing = tokens.f_any_dim(-1, true)?.f_logical_not()?;
    let padding = tokens.f_logical_or(&nothing)?.f_logical_not()?.f_to_kind(kind)?;
    padding.f_mul_scalar(lowest(kind))?.f_unsqueeze(1)?.f_unsqueeze(1)
}

#[derive(Debug)]
struct Embeddings {
    words: Embedding,
    positions: Embedding,
    token_types: Option<Embedding>,
    norm: LayerNorm,
    /// The padding token, where positions are counted behind it.
    count_after: Option<i64>,
}

impl Embeddings {
    fn new(weights: &BTreeMap<String, Tensor>, config: &EncoderConfig) -> Result<Self, TchError> {
        let table = |name| Embedding::new(weights, EMBEDDINGS, name);
        Ok(Self {
            words: table("word_embeddings")?,
            positions: table("position_embeddings")?,
            token_types: config.family.token_types.then(|| table("token_type_embeddings")).transpose()?,
            norm: LayerNorm::new(weights, EMBEDDINGS, "LayerNorm", config.layer_norm_eps)?,
            count_after: config.padding.filter(|_| config.family.positions == Positions::AfterPadding),
        })
    }

    fn forward(&self, inputs: &Inputs) -> Result<Tensor, TchError> {
        let _scope = scope(EMBEDDINGS);
        let mut sum = self.words.forward(&inputs.ids)?;
        if let Some(table) = &self.token_types {
            let embedded = match &inputs.token_types {
                Some(given) => table.forward(given)?,
                None => table.forward(&inputs.ids.f_zeros_like()?)?,
            };
            sum = sum.f_add(&embedded)?;
        }
        let positions = match &inputs.positions {
            Some(given) => self.positions.forward(given)?,
            None => self.positions.forward(&self.number(&inputs.ids)?)?,
        };
        self.norm.forward(&sum.f_add(&positions)?)
    }

    /// Position ids `[batch, token]`, or `[1, token]` where they are the same for each row.
    fn number(&self, ids: &Tensor) -> Result<Tensor, TchError> {
        match self.count_after {
            None => {
                let tokens = ids.size().last().copied().unwrap_or(0);
                Tensor::f_arange(tokens, (Kind::Int64, ids.device()))?.f_unsqueeze(0)
            }
            Some(padding) => {
                let counts = ids.f_ne(padding)?.f_to_kind(Kind::Int64)?;
                counts.f_cumsum(1, Kind::Int64)?.f_mul(&counts)?.f_add_scalar(padding)
            }
        }
    }
}

#[derive(Debug)]
struct Layer {
    /// Module path, such as `encoder.layer.0`.
    path: String,
    form: AttentionForm,
    heads: i64,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_dense: Linear,
    attention_norm: LayerNorm,
    ffn_in: Linear,
    activation: Activation,
    ffn_out: Linear,
    ffn_norm: LayerNorm,
}

impl Layer {
    fn new(
        weights: &BTreeMap<String, Tensor>,
        config: &EncoderConfig,
        form: AttentionForm,
        index: usize,
    ) -> Result<Self, TchError> {
        let family = config.family;
        let path = config.layer_path(index);
        let linear = |name| Linear::new(weights, &path, name, Layout::OutIn);
        let norm = |name| LayerNorm::new(weights, &path, name, config.layer_norm_eps);
        Ok(Self {
            form,
            heads: config.heads,
            query: linear(family.query)?,
            key: linear(family.key)?,
            value: linear(family.value)?,
            attention_dense: linear(family.attention_dense)?,
            attention_norm: norm(family.attention_norm)?,
            ffn_in: linear(family.ffn_in)?,
            activation: config.activation,
            ffn_out: linear(family.ffn_out)?,
            ffn_norm: norm(family.ffn_norm)?,
            path,
        })
    }

    /// `x` and the result `[batch, token, channel]`, `mask` as [`additive`] gives it.
    fn forward(&self, x: &Tensor, mask: &Tensor) -> Result<Tensor, TchError> {
        let _scope = scope(&self.path);
        let context = self.attend(x, mask)?;
        let projected = {
            let _scope = inside(self.attention_dense.parent);
            self.attention_dense.forward(&context)?
        };
        let attended = add_and_norm(&projected, x, &self.attention_norm)?;
        let neurons = {
            let _scope = inside(self.ffn_in.parent);
            self.activation.apply(&self.ffn_in.forward(&attended)?)?
        };
        let written = {
            let _scope = inside(self.ffn_out.parent);
            self.ffn_out.forward(&neurons)?
        };
        add_and_norm(&written, &attended, &self.ffn_norm)
    }

    /// `softmax(Q Kᵀ / √d + mask) V` for each head, the heads side by side: `[batch, token, channel]`.
    fn attend(&self, x: &Tensor, mask: &Tensor) -> Result<Tensor, TchError> {
        let _scope = inside(self.query.parent);
        let size = x.size();
        let &[batch, tokens, channels] = size.as_slice() else {
            return Err(TchError::Shape(format!("hidden state of shape {size:?}")));
        };
        let width = channels / self.heads;
        let split = |projection: &Linear| -> Result<Tensor, TchError> {
            projection.forward(x)?.f_reshape([batch, tokens, self.heads, width])?.f_transpose(1, 2)
        };
        let (query, key, value) = (split(&self.query)?, split(&self.key)?, split(&self.value)?);
        let context = match self.form {
            AttentionForm::Eager => {
                #[expect(clippy::cast_precision_loss, reason = "a width of heads is far below 2^52")]
                let scale = 1.0 / (width as f64).sqrt();
                let scores = query.f_matmul(&key.f_transpose(2, 3)?)?.f_mul_scalar(scale)?.f_add(mask)?;
                scores.f_softmax(-1, None)?.f_matmul(&value)?
            }
            AttentionForm::Fused => Tensor::f_scaled_dot_product_attention(
                &query,
                &key,
                &value,
                Some(mask),
                0.0,
                false,
                None,
                false,
            )?,
        };
        context.f_transpose(1, 2)?.f_reshape([batch, tokens, channels])
    }
}

/// `LN(new + old)`, in the module that the norm is part of.
fn add_and_norm(new: &Tensor, old: &Tensor, norm: &LayerNorm) -> Result<Tensor, TchError> {
    let _scope = inside(norm.parent);
    norm.forward(&new.f_add(old)?)
}
