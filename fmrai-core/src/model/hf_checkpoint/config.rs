//! config.json of an encoder.

use std::path::Path;

use serde_json::{Map, Value};

use super::activation::Activation;
use super::family::{Family, Positions, family_of, supported};
use crate::model::ModelError;

/// Sizes beyond these do not occur; they keep a broken config from asking for all memory there is.
const MAX_LAYERS: u64 = 10_000;
const MAX_SIZE: u64 = 1 << 30;

/// What the encoder needs to know.
#[derive(Debug, Clone)]
pub(super) struct EncoderConfig {
    pub(super) model_type: String,
    pub(super) family: &'static Family,
    pub(super) vocabulary: i64,
    pub(super) hidden: i64,
    pub(super) heads: i64,
    pub(super) layers: usize,
    pub(super) intermediate: i64,
    pub(super) activation: Activation,
    /// Rows of the position embedding.
    pub(super) positions: i64,
    /// Rows of the token type embedding; 0 where there is none.
    pub(super) token_types: i64,
    pub(super) layer_norm_eps: f64,
    pub(super) padding: Option<i64>,
}

impl EncoderConfig {
    /// Reads the bytes of a config.json that lies at `path`.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self, ModelError> {
        Self::read(bytes).map_err(|what| ModelError::File { path: path.to_owned(), what })
    }

    /// Longest input, in tokens.
    pub(super) fn max_tokens(&self) -> i64 {
        match self.family.positions {
            Positions::Absolute => self.positions,
            Positions::AfterPadding => self.positions - self.padding.unwrap_or(0) - 1,
        }
    }

    /// Names and shapes of the weights of the encoder; linear maps are `[out, in]`.
    pub(super) fn weights(&self, pooler: bool) -> Vec<(String, Vec<i64>)> {
        let family = self.family;
        let (hidden, intermediate) = (self.hidden, self.intermediate);
        let mut weights = Vec::new();
        let embedding = |name: &str, rows: i64| (format!("embeddings.{name}.weight"), vec![rows, hidden]);
        weights.push(embedding("word_embeddings", self.vocabulary));
        weights.push(embedding("position_embeddings", self.positions));
        if family.token_types {
            weights.push(embedding("token_type_embeddings", self.token_types));
        }
        let mut affine = |module: String, weight: Vec<i64>| {
            weights.push((format!("{module}.bias"), weight.iter().copied().take(1).collect()));
            weights.push((format!("{module}.weight"), weight));
        };
        affine("embeddings.LayerNorm".to_owned(), vec![hidden]);
        for layer in 0..self.layers {
            let path = |name: &str| format!("{}.{layer}.{name}", family.layers);
            for name in [family.query, family.key, family.value, family.attention_dense] {
                affine(path(name), vec![hidden, hidden]);
            }
            affine(path(family.attention_norm), vec![hidden]);
            affine(path(family.ffn_in), vec![intermediate, hidden]);
            affine(path(family.ffn_out), vec![hidden, intermediate]);
            affine(path(family.ffn_norm), vec![hidden]);
        }
        if pooler {
            affine("pooler.dense".to_owned(), vec![hidden, hidden]);
        }
        weights
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(bytes).map_err(|e| format!("malformed JSON: {e}"))?;
        let Value::Object(json) = json else { return Err("a JSON object is needed".to_owned()) };
        let model_type = match json.get("model_type") {
            Some(Value::String(name)) => name.clone(),
            Some(other) => return Err(format!("`model_type` is {other}, one of {} is needed", supported())),
            None => {
                let fields: Vec<_> = json.keys().take(8).map(String::as_str).collect();
                return Err(format!(
                    "no `model_type`, so this is not the config of a transformers model; its fields are {}",
                    fields.join(", ")
                ));
            }
        };
        let Some(family) = family_of(&model_type) else {
            return Err(format!("`model_type` is {model_type:?}, supported are {}", supported()));
        };
        let names = &family.fields;
        let fields = Reader(&json);

        fields.reject_unsupported()?;
        let padding = fields.integer("pad_token_id", names.default_padding)?;
        let config = Self {
            vocabulary: fields.size("vocab_size", None)?,
            hidden: fields.size(names.hidden, None)?,
            heads: fields.size(names.heads, None)?,
            layers: fields.layers(names.layers)?,
            intermediate: fields.size(names.intermediate, None)?,
            activation: fields.activation(names.activation)?,
            positions: fields.size("max_position_embeddings", Some(names.default_positions))?,
            token_types: if family.token_types { fields.size("type_vocab_size", Some(2))? } else { 0 },
            layer_norm_eps: fields.epsilon(names.layer_norm_eps)?,
            padding,
            model_type,
            family,
        };
        if config.hidden % config.heads != 0 {
            return Err(format!(
                "`{}` is {}, which {} heads (`{}`) do not divide",
                names.hidden, config.hidden, config.heads, names.heads
            ));
        }
        if family.positions == Positions::AfterPadding
            && padding.is_none_or(|p| p < 0 || config.max_tokens() < 1)
        {
            return Err(format!(
                "`pad_token_id` is {}, positions start behind it: 0 to {} is needed",
                padding.map_or("null".to_owned(), |p| p.to_string()),
                config.positions - 2
            ));
        }
        Ok(config)
    }
}

/// Typed access to the fields of a config.
struct Reader<'a>(&'a Map<String, Value>);

impl Reader<'_> {
    fn reject_unsupported(&self) -> Result<(), String> {
        let found = |name: &str| self.0.get(name).filter(|v| !v.is_null());
        if let Some(kind) = found("position_embedding_type").filter(|v| *v != "absolute") {
            return Err(format!("`position_embedding_type` is {kind}, only \"absolute\" is supported"));
        }
        for name in ["is_decoder", "add_cross_attention", "is_encoder_decoder"] {
            if let Some(value) = found(name).filter(|v| *v != false) {
                return Err(format!("`{name}` is {value}, only encoders (false) are supported"));
            }
        }
        if let Some(heads) = found("pruned_heads").filter(|v| v.as_object().is_none_or(|o| !o.is_empty())) {
            return Err(format!("`pruned_heads` is {heads}, only models with all their heads are supported"));
        }
        if found("quantization_config").is_some() {
            return Err("it has a `quantization_config`, quantised weights are not supported".to_owned());
        }
        Ok(())
    }

    fn size(&self, name: &str, default: Option<u64>) -> Result<i64, String> {
        let value = self.0.get(name).filter(|v| !v.is_null() || default.is_none());
        match (value, default) {
            (None, Some(size)) => Ok(i64::try_from(size).unwrap_or(i64::MAX)),
            (None, None) => Err(format!("no `{name}`")),
            (Some(value), _) => value
                .as_u64()
                .filter(|n| (1..=MAX_SIZE).contains(n))
                .and_then(|n| i64::try_from(n).ok())
                .ok_or_else(|| format!("`{name}` is {value}, an integer from 1 to {MAX_SIZE} is needed")),
        }
    }

    fn layers(&self, name: &str) -> Result<usize, String> {
        let value = self.0.get(name).ok_or_else(|| format!("no `{name}`"))?;
        value
            .as_u64()
            .filter(|n| (1..=MAX_LAYERS).contains(n))
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| format!("`{name}` is {value}, an integer from 1 to {MAX_LAYERS} is needed"))
    }

    fn integer(&self, name: &str, default: u64) -> Result<Option<i64>, String> {
        match self.0.get(name) {
            None => Ok(i64::try_from(default).ok()),
            Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_i64()
                .filter(|n| n.unsigned_abs() <= MAX_SIZE)
                .map(Some)
                .ok_or_else(|| format!("`{name}` is {value}, an integer or null is needed")),
        }
    }

    fn epsilon(&self, name: Option<&str>) -> Result<f64, String> {
        match name.and_then(|name| Some((name, self.0.get(name).filter(|v| !v.is_null())?))) {
            None => Ok(1e-12),
            Some((name, value)) => value
                .as_f64()
                .filter(|x| x.is_finite() && *x >= 0.0)
                .ok_or_else(|| format!("`{name}` is {value}, a number that is not negative is needed")),
        }
    }

    fn activation(&self, name: &str) -> Result<Activation, String> {
        let value = self.0.get(name).filter(|v| !v.is_null());
        let found = value.map_or(Some("gelu"), Value::as_str);
        found.and_then(Activation::named).ok_or_else(|| {
            let found = value.map_or_else(String::new, Value::to_string);
            format!("`{name}` is {found}, supported are {}", Activation::NAMES.join(", "))
        })
    }
}
