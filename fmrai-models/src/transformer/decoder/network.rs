//! What a decoder computes.

use std::collections::{BTreeMap, btree_map};

use fmrai_core::structure::AttentionForm;
use fmrai_torch::capture::scope;
use tch::{Device, Kind, TchError, Tensor};

use super::attention::soften;
use super::cache::Cache;
use super::layer::Layer;
use super::mask;
use super::norm::Norm;
use super::rotary::{Angles, Rotary};
use super::spec::{DecoderSpec, HEAD};
use crate::transformer::inputs::Inputs;
use crate::transformer::modules::{Embedding, Layout, Linear};
use crate::transformer::on_demand::{OnDemand, PassError};

/// A decoder with its head.
#[derive(Debug)]
pub(super) struct Decoder {
    kind: Kind,
    stack: &'static str,
    embedding: Embedding,
    embedding_scale: Option<f64>,
    positions: Option<Embedding>,
    rotary: Vec<Rotary>,
    /// For each layer, the index of its mask in `windows` and that of its rotary positions.
    choices: Vec<(usize, usize)>,
    windows: Vec<Option<i64>>,
    layers: Vec<Layer>,
    norm: Norm,
    head: Linear,
    softcap: Option<f64>,
    /// Module paths of the parts whose weights may be made for each pass: the token embedding, the layers, and the head or what it
    /// shares its weight with.
    embedding_path: String,
    layer_paths: Vec<String>,
    head_path: String,
}

impl Decoder {
    pub(super) fn new(
        weights: &BTreeMap<String, Tensor>,
        spec: &DecoderSpec,
        form: AttentionForm,
        device: Device,
    ) -> Result<Self, TchError> {
        let family = spec.family;
        let embedding = Embedding::new(weights, family.stack, family.embedding)?;
        let kind = embedding.table().f_kind()?;
        let mut windows: BTreeMap<Option<i64>, usize> = BTreeMap::new();
        let mut choices = Vec::new();
        for layer in &spec.layers {
            let next = windows.len();
            let window = match windows.entry(layer.window) {
                btree_map::Entry::Occupied(known) => *known.get(),
                btree_map::Entry::Vacant(place) => *place.insert(next),
            };
            choices.push((window, layer.rotary));
        }
        let mut windows: Vec<_> = windows.into_iter().map(|(window, index)| (index, window)).collect();
        windows.sort_unstable();
        let own_head = weights.contains_key(&format!("{HEAD}.weight"));
        let embedding_path = spec.embedding_path();
        Ok(Self {
            kind,
            stack: family.stack,
            embedding_scale: family.scaled_embedding.then(|| embedding_scale(spec.hidden, kind)),
            positions: family
                .positions
                .map(|name| Embedding::new(weights, family.stack, name))
                .transpose()?,
            rotary: spec.rotary.iter().map(|r| Rotary::new(r, device)).collect::<Result<_, _>>()?,
            choices,
            windows: windows.into_iter().map(|(_, window)| window).collect(),
            layers: (0..spec.layers.len())
                .map(|index| Layer::new(weights, spec, form, index))
                .collect::<Result<_, _>>()?,
            norm: Norm::new(weights, family.stack, family.final_norm, family.norm, spec.epsilon)?,
            head: if own_head {
                Linear::new(weights, "", HEAD, Layout::OutIn)?
            } else {
                Linear::tied(HEAD, embedding.table())
            },
            embedding,
            softcap: spec.logit_softcap,
            layer_paths: (0..spec.layers.len()).map(|layer| spec.layer_path(layer)).collect(),
            head_path: if own_head { HEAD.to_owned() } else { embedding_path.clone() },
            embedding_path,
        })
    }

    /// Names and values of the buffers, which no checkpoint holds.
    pub(super) fn buffers(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.rotary.iter().map(|rotary| {
            let (name, buffer) = rotary.buffer();
            (format!("{}.rotary_emb.{name}", self.stack), buffer)
        })
    }

    /// Logits `[batch, token, vocabulary]`. With a cache, the inputs are those of the tokens that follow on it.
    pub(super) fn forward(
        &self,
        inputs: &Inputs,
        cache: Option<&mut Cache>,
        weights: &OnDemand,
    ) -> Result<Tensor, PassError> {
        let hidden = self.stack(inputs, cache, weights)?;
        let held = weights.hold(&self.head_path)?;
        let logits = self.head.forward(&hidden)?;
        held.give_up(&logits);
        Ok(match self.softcap {
            Some(cap) => soften(&logits, cap)?,
            None => logits,
        })
    }

    /// The normed residual stream after the last layer.
    fn stack(
        &self,
        inputs: &Inputs,
        mut cache: Option<&mut Cache>,
        weights: &OnDemand,
    ) -> Result<Tensor, PassError> {
        let _scope = scope(self.stack);
        let seen = cache.as_ref().map_or(0, |cache| cache.tokens());
        let tokens = inputs.ids.size().last().copied().unwrap_or(0);
        let positions = match &inputs.positions {
            Some(given) => given.shallow_clone(),
            None => {
                let seen = i64::try_from(seen).unwrap_or(i64::MAX);
                let integers = (Kind::Int64, inputs.ids.device());
                Tensor::f_arange_start(seen, seen + tokens, integers)?.f_unsqueeze(0)?
            }
        };
        let mask = match cache.as_deref_mut() {
            None => inputs.mask.shallow_clone(),
            Some(cache) => cache.extend_mask(&inputs.mask)?,
        };
        let held = weights.hold(&self.embedding_path)?;
        let mut hidden = self.embed(&inputs.ids, &positions)?;
        held.give_up(&hidden);
        let masks = self
            .windows
            .iter()
            .map(|window| mask::additive(&mask, tokens, *window, self.kind))
            .collect::<Result<Vec<_>, _>>()?;
        let angles = self.angles(&positions)?;
        for ((layer, path), (window, rotary)) in self.layers.iter().zip(&self.layer_paths).zip(&self.choices)
        {
            let held = weights.hold(path)?;
            let mask = masks.get(*window).ok_or_else(|| TchError::Torch("no mask".to_owned()))?;
            hidden = layer.forward(&hidden, mask, angles.get(*rotary), cache.as_deref_mut())?;
            held.give_up(&hidden);
        }
        Ok(self.norm.forward(&hidden)?)
    }

    fn embed(&self, ids: &Tensor, positions: &Tensor) -> Result<Tensor, TchError> {
        let embedded = self.embedding.forward(ids)?;
        match (&self.positions, self.embedding_scale) {
            (Some(table), _) => embedded.f_add(&table.forward(positions)?),
            (None, Some(scale)) => embedded.f_mul_scalar(scale),
            (None, None) => Ok(embedded),
        }
    }

    fn angles(&self, positions: &Tensor) -> Result<Vec<Angles>, TchError> {
        let _scope = (!self.rotary.is_empty()).then(|| scope("rotary_emb"));
        self.rotary.iter().map(|rotary| rotary.angles(positions, self.kind)).collect()
    }
}

/// The root of the number of channels, rounded to `kind` as the models were trained with.
fn embedding_scale(hidden: i64, kind: Kind) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a number of channels is far below 2^52")]
    let scale = (hidden as f64).sqrt();
    match kind {
        Kind::Half => half::f16::from_f64(scale).to_f64(),
        Kind::BFloat16 => half::bf16::from_f64(scale).to_f64(),
        _ => scale,
    }
}
