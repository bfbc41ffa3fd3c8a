//! config.json of an encoder.

use super::family::{Family, Positions, family_of};
use crate::transformer::activation::Activation;
use crate::transformer::fields::Fields;
use crate::transformer::needs::Needs;

/// Path of the embeddings in all families.
pub(super) const EMBEDDINGS: &str = "embeddings";

/// Path of the pooler in all families.
pub(super) const POOLER: &str = "pooler";

/// The weights of a pooler; one of them in a checkpoint means that all are needed.
const POOLER_WEIGHTS: [&str; 2] = ["pooler.dense.weight", "pooler.dense.bias"];

/// What the encoder needs to know.
#[derive(Debug, Clone)]
pub(crate) struct EncoderConfig {
    pub(crate) model_type: String,
    pub(crate) family: &'static Family,
    pub(crate) vocabulary: i64,
    pub(crate) hidden: i64,
    pub(crate) heads: i64,
    pub(crate) layers: usize,
    pub(crate) intermediate: i64,
    pub(crate) activation: Activation,
    /// Rows of the position embedding.
    pub(crate) positions: i64,
    /// Rows of the token type embedding; 0 where there is none.
    pub(crate) token_types: i64,
    pub(crate) layer_norm_eps: f64,
    pub(crate) padding: Option<i64>,
}

impl EncoderConfig {
    /// Longest input, in tokens.
    pub(crate) fn max_tokens(&self) -> i64 {
        match self.family.positions {
            Positions::Absolute => self.positions,
            Positions::AfterPadding => self.positions - self.padding.unwrap_or(0) - 1,
        }
    }

    /// Path of a layer, such as `encoder.layer.0`.
    pub(super) fn layer_path(&self, layer: usize) -> String {
        format!("{}.{layer}", self.family.layers)
    }

    /// Module paths of the parts whose weights may be made for each pass, those first that should rather stay.
    pub(crate) fn parts(&self) -> Vec<String> {
        let layers = (0..self.layers).map(|layer| self.layer_path(layer));
        [EMBEDDINGS, POOLER].map(str::to_owned).into_iter().chain(layers).collect()
    }

    /// Names and shapes of the weights of the encoder; linear maps are `[out, in]`.
    pub(crate) fn weights(&self, pooler: bool) -> Vec<(String, Vec<i64>)> {
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

    /// Reads the fields of a config.json; `None` if `model_type` is no encoder.
    pub(crate) fn read(model_type: &str, fields: Fields<'_>) -> Option<Result<Self, String>> {
        family_of(model_type).map(|family| Self::of_family(model_type, family, fields))
    }

    fn of_family(model_type: &str, family: &'static Family, fields: Fields<'_>) -> Result<Self, String> {
        let names = &family.fields;
        fields.reject_unsupported(&["is_decoder", "add_cross_attention", "is_encoder_decoder"])?;
        let padding = fields.integer("pad_token_id", Some(names.default_padding))?;
        let config = Self {
            vocabulary: fields.size("vocab_size", None)?,
            hidden: fields.size(names.hidden, None)?,
            heads: fields.size(names.heads, None)?,
            layers: fields.layers(names.layers, None)?,
            intermediate: fields.size(names.intermediate, None)?,
            activation: fields.activation(names.activation, "gelu")?,
            positions: fields.size("max_position_embeddings", Some(names.default_positions))?,
            token_types: if family.token_types { fields.size("type_vocab_size", Some(2))? } else { 0 },
            layer_norm_eps: names.layer_norm_eps.map_or(Ok(1e-12), |name| fields.epsilon(name, 1e-12))?,
            padding,
            model_type: model_type.to_owned(),
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

impl Needs for EncoderConfig {
    fn model_type(&self) -> &str {
        &self.model_type
    }

    /// The name without prefix, and in the words of today: the oldest checkpoints call a LayerNorm's weight gamma and
    /// its bias beta.
    fn canonical(&self, name: &str) -> String {
        let name = name.strip_prefix(self.family.prefix).unwrap_or(name);
        match name.rsplit_once('.') {
            Some((module, "gamma")) => format!("{module}.weight"),
            Some((module, "beta")) => format!("{module}.bias"),
            _ => name.to_owned(),
        }
    }

    fn needed(&self, found: &dyn Fn(&str) -> bool) -> Vec<(String, Vec<i64>)> {
        self.weights(self.family.pooler && POOLER_WEIGHTS.iter().any(|name| found(name)))
    }

    fn is_unused(&self, name: &str) -> bool {
        self.family.unused.iter().any(|head| name.starts_with(head))
            || (!self.family.pooler && name.starts_with("pooler."))
    }
}
