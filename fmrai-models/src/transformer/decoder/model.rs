//! A decoder as a [`Model`], and token by token.

use std::collections::BTreeMap;
use std::sync::Arc;

use fmrai_core::structure::AttentionForm;
use fmrai_core::tensor::DType;
use fmrai_torch::model::{
    CausalModel, Continuation, InputSpec, Model, ModelError, ModelInfo, NamedTensors, RemadeWeights,
};
use fmrai_torch::text::Tokenizer;
use serde_json::Value;
use tch::{Device, Tensor};

use super::cache::Cache;
use super::config;
use super::family::{Family, family_of, names};
use super::network::Decoder;
use super::spec::{DecoderSpec, HEAD};
use crate::convert::{OfModel, from_tch};
use crate::transformer::fields::Fields;
use crate::transformer::inputs::{self, Inputs, Limits};
use crate::transformer::loaded::Loaded;
use crate::transformer::placing::bytes;

/// A decoder with its language-model head.
///
/// As a [`Model`] it gives the logits of every token; [`next_logits`](Self::next_logits) continues a text.
#[derive(Debug)]
pub struct CausalLm {
    loaded: Loaded,
    spec: DecoderSpec,
    decoder: Decoder,
}

impl CausalLm {
    /// The decoder that `spec` describes, with what was loaded of it.
    pub(crate) fn new(
        loaded: Loaded,
        spec: DecoderSpec,
        attention: AttentionForm,
    ) -> Result<Self, ModelError> {
        let decoder = Decoder::new(&loaded.weights, &spec, attention, loaded.device).of_model()?;
        Ok(Self { loaded, spec, decoder })
    }

    /// Names and shapes of the weights of a decoder that `config`, the content of a config.json, describes.
    ///
    /// # Errors
    /// [`ModelError::Config`] names the field at fault.
    pub fn weight_shapes(config: &Value) -> Result<Vec<(String, Vec<i64>)>, ModelError> {
        let spec = spec_of(config)?;
        Ok(spec.weights(!spec.tied))
    }

    /// A decoder made of `weights`, which it shares: training them trains the model.
    ///
    /// # Errors
    /// - [`ModelError::Config`] names the field of `config` at fault.
    /// - [`ModelError::Weights`] if a weight is missing, too many or of another shape than
    ///   [`weight_shapes`](Self::weight_shapes) says. All have to be of one element type and on one device.
    pub fn from_weights(
        config: &Value,
        weights: BTreeMap<String, Tensor>,
        tokenizer: Option<Tokenizer>,
        attention: AttentionForm,
    ) -> Result<Self, ModelError> {
        let spec = spec_of(config)?;
        check_weights(&spec, &weights)?;
        let device = weights.values().next().map_or(Device::Cpu, Tensor::device);
        let tokens = usize::try_from(spec.max_tokens).ok();
        Self::new(Loaded::made(spec.family.model_type, weights, tokenizer, tokens, device), spec, attention)
    }

    /// Logits `[batch, vocabulary]` of the token after the last of `ids` `[batch, token]` of int64, where `cache` holds
    /// what came before; it holds these tokens too afterwards. There is no padding.
    ///
    /// They are those of [`Model::forward`] on the whole text but for rounding. Rotary positions with dynamic scaling
    /// are the exception: beyond the positions of the model, keys in the cache were turned by other angles.
    ///
    /// # Errors
    /// [`ModelError::Inputs`] for misshapen ids, tokens that the model does not know, more tokens than it takes or
    /// another batch than that of the cache; [`ModelError::Torch`] for what libtorch reports.
    pub fn next_logits(&self, ids: &Tensor, cache: &mut Cache) -> Result<Tensor, ModelError> {
        let given = NamedTensors(vec![
            ("input_ids".to_owned(), from_tch(ids)),
            ("attention_mask".to_owned(), from_tch(&ids.f_ones_like().of_model()?)),
        ]);
        let inputs = inputs::check(&given, &self.limits(), self.loaded.device)?;
        let tokens =
            cache.tokens() + inputs.ids.size().last().map_or(0, |n| usize::try_from(*n).unwrap_or(0));
        let longest = usize::try_from(self.spec.max_tokens).unwrap_or(usize::MAX);
        let wrong = |needed: String, found: String| ModelError::Inputs { found, needed };
        if tokens > longest {
            return Err(wrong(format!("at most {longest} tokens"), format!("{tokens} tokens")));
        }
        let batch = inputs.ids.size().first().copied();
        if cache.batch().is_some_and(|cached| Some(cached) != batch) {
            let (held, given) = (cache.batch().unwrap_or(0), batch.unwrap_or(0));
            return Err(wrong(format!("texts as many as the cache holds, {held}"), given.to_string()));
        }
        let logits = self.decoder.forward(&inputs, Some(cache), &self.loaded.on_demand)?;
        logits.f_select(1, -1).of_model()
    }

    fn limits(&self) -> Limits<'_> {
        let spec = &self.spec;
        let learned = spec.family.positions.is_some();
        Limits {
            model_type: spec.family.model_type,
            vocabulary: spec.vocabulary,
            token_types: None,
            tokens: spec.max_tokens,
            positions: if learned { spec.positions } else { spec.max_tokens },
        }
    }
}

impl Model for CausalLm {
    fn info(&self) -> &ModelInfo {
        &self.loaded.info
    }

    /// The weights, and the buffers of rotary positions.
    fn parameters(&self) -> Vec<(String, fmrai_torch::Tensor)> {
        let mut parameters = self.loaded.parameters();
        parameters.extend(self.decoder.buffers().map(|(name, buffer)| (name, from_tch(buffer))));
        parameters.sort_by(|a, b| a.0.cmp(&b.0));
        parameters
    }

    fn remade_weights(&self) -> Option<Arc<dyn RemadeWeights>> {
        self.loaded.on_demand.remade()
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        self.loaded.tokenizer.as_ref()
    }

    fn causal(&self) -> Option<&dyn CausalModel> {
        Some(self)
    }

    fn inputs(&self) -> Vec<InputSpec> {
        inputs::specs(&self.limits())
    }

    /// `logits` `[batch, token, vocabulary]`. Texts are padded on the right.
    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        let inputs: Inputs = inputs::check(inputs, &self.limits(), self.loaded.device)?;
        let logits = self.decoder.forward(&inputs, None, &self.loaded.on_demand)?;
        Ok(NamedTensors(vec![("logits".to_owned(), from_tch(&logits))]))
    }
}

impl CausalModel for CausalLm {
    fn max_tokens(&self) -> Option<usize> {
        self.loaded.info.max_tokens
    }

    /// As generation_config.json or else config.json says.
    fn end_tokens(&self) -> &[u32] {
        &self.spec.end_tokens
    }

    fn begin(&self) -> Box<dyn Continuation + '_> {
        Box::new(Text { model: self, cache: Cache::new() })
    }
}

/// A text that is being continued, with keys and values of its tokens.
struct Text<'m> {
    model: &'m CausalLm,
    cache: Cache,
}

impl Continuation for Text<'_> {
    fn tokens(&self) -> usize {
        self.cache.tokens()
    }

    fn next_logits(&mut self, tokens: &[u32]) -> Result<Vec<f32>, ModelError> {
        let ids: Vec<i64> = tokens.iter().copied().map(i64::from).collect();
        let ids = Tensor::f_from_slice(&ids).and_then(|ids| ids.f_unsqueeze(0)).of_model()?;
        let logits = self.model.next_logits(&ids, &mut self.cache)?.f_select(0, 0).of_model()?;
        Ok(from_tch(&logits).to_dtype(DType::Float32)?.to_vec()?)
    }
}

/// Drops a head that is the token embedding once more. If it is another, it is used.
pub(crate) fn tie(loaded: &mut Loaded, spec: &DecoderSpec) -> Result<(), ModelError> {
    let head = format!("{HEAD}.weight");
    let embedding = format!("{}.weight", spec.embedding_path());
    let on_demand = &loaded.on_demand;
    let same = match (loaded.weights.get(&head), loaded.weights.get(&embedding)) {
        (Some(_), Some(_)) if !spec.tied => false,
        (Some(own), Some(shared)) => match on_demand.source() {
            Some(source) if on_demand.has(&head) || on_demand.has(&embedding) => {
                source.equal(&head, &embedding)?
            }
            _ => own.f_equal(shared).of_model()?,
        },
        _ => false,
    };
    if same && let Some(own) = loaded.weights.remove(&head) {
        loaded.info.parameters -= own.numel() as u64;
        if loaded.on_demand.remove(&head) {
            loaded.info.remade_bytes -= bytes(&own.size(), own.kind());
        }
    }
    Ok(())
}

fn spec_of(config: &Value) -> Result<DecoderSpec, ModelError> {
    let wrong = |what: String| ModelError::Config { what };
    let fields = config.as_object().ok_or_else(|| wrong("a JSON object is needed".to_owned()))?;
    let model_type = fields.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let family: &'static Family = family_of(model_type)
        .ok_or_else(|| wrong(format!("`model_type` is {model_type:?}, decoders are {}", names())))?;
    config::read(family, Fields::new(fields, "")).map_err(wrong)
}

fn check_weights(spec: &DecoderSpec, weights: &BTreeMap<String, Tensor>) -> Result<(), ModelError> {
    let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
    let needed = spec.weights(!spec.tied);
    for (name, shape) in &needed {
        match weights.get(name).map(Tensor::size) {
            None => missing.push(name.clone()),
            Some(found) if found != *shape => {
                misshapen.push(format!("{name}: found {found:?}, needed {shape:?}"));
            }
            Some(_) => {}
        }
    }
    let unknown: Vec<_> =
        weights.keys().filter(|name| needed.iter().all(|(n, _)| n != *name)).cloned().collect();
    if missing.is_empty() && unknown.is_empty() && misshapen.is_empty() {
        return Ok(());
    }
    missing.sort_unstable();
    let architecture = spec.family.model_type.to_owned();
    let hint = String::new();
    Err(ModelError::Weights { path: "weights".into(), architecture, missing, unknown, misshapen, hint })
}
