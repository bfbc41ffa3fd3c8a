//! What a decoder is made of, as its config.json says.

use super::family::{Family, NormKind, Projections};
use super::rotary::{RotarySpec, Scaling};
use crate::transformer::activation::Activation;
use crate::transformer::modules::{Layout, join};
use crate::transformer::needs::Needs;

/// Everything that decides what a decoder computes, its weights aside. Cheap; owns no tensor.
#[derive(Debug, Clone)]
pub(crate) struct DecoderSpec {
    pub(crate) family: &'static Family,
    pub(crate) vocabulary: i64,
    pub(crate) hidden: i64,
    pub(crate) heads: i64,
    pub(crate) key_value_heads: i64,
    /// Channels of a head.
    pub(crate) head_width: i64,
    pub(crate) intermediate: i64,
    pub(crate) activation: Activation,
    pub(crate) epsilon: f64,
    pub(crate) layers: Vec<LayerSpec>,
    /// The kinds of rotary positions, which [`LayerSpec::rotary`] points to; none where positions are learned.
    pub(crate) rotary: Vec<RotarySpec>,
    /// Rows of the position embedding, where positions are learned.
    pub(crate) positions: i64,
    /// Longest input, in tokens.
    pub(crate) max_tokens: i64,
    pub(crate) query_key_value_bias: bool,
    pub(crate) attention_out_bias: bool,
    pub(crate) ffn_bias: bool,
    /// Attention scores `s` become `c tanh(s / c)`.
    pub(crate) attention_softcap: Option<f64>,
    /// Logits `x` become `c tanh(x / c)`.
    pub(crate) logit_softcap: Option<f64>,
    /// Whether feed-forward block and attention read the same residual stream.
    pub(crate) parallel: bool,
    /// Whether the head is the token embedding. A checkpoint that holds another head has the last word.
    pub(crate) tied: bool,
    pub(crate) padding: Option<i64>,
    /// Tokens that end a text, as config.json says.
    pub(crate) end_tokens: Vec<u32>,
}

/// Where one layer differs from the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LayerSpec {
    /// A token sees this many tokens, itself included; `None` for all before it.
    pub(crate) window: Option<i64>,
    /// Index of its rotary positions.
    pub(crate) rotary: usize,
    /// What attention scores are multiplied by.
    pub(crate) scale: f64,
}

/// The head's module path in all families.
pub(crate) const HEAD: &str = "lm_head";

impl DecoderSpec {
    /// Path of a layer, such as `model.layers.0`.
    pub(crate) fn layer_path(&self, layer: usize) -> String {
        format!("{}.{}.{layer}", self.family.stack, self.family.layers)
    }

    /// Path of the token embedding.
    pub(crate) fn embedding_path(&self) -> String {
        format!("{}.{}", self.family.stack, self.family.embedding)
    }

    /// Module paths of the parts whose weights may be made for each pass, those first that should rather stay.
    pub(crate) fn parts(&self) -> Vec<String> {
        let layers = (0..self.layers.len()).map(|layer| self.layer_path(layer));
        [self.embedding_path(), HEAD.to_owned()].into_iter().chain(layers).collect()
    }

    /// Divides the frequency of each pair of channels by a number of its own.
    ///
    /// # Errors
    /// Where frequencies are stretched by a rule already, or where there are none.
    pub(crate) fn divide_frequencies(&mut self, by: &[f32]) -> Result<(), String> {
        for rotary in &mut self.rotary {
            if rotary.scaling != Scaling::None {
                return Err(
                    "stands beside a rule to stretch rotary positions, one of the two is needed".to_owned()
                );
            }
            rotary.scaling = Scaling::Divided { by: by.to_vec() };
        }
        if self.rotary.is_empty() {
            Err("divides frequencies, which the model has not".to_owned())
        } else {
            Ok(())
        }
    }

    /// Names and shapes of the weights, those of the head included if `head`; linear maps are `[out, in]`, those of
    /// GPT-2 `[in, out]`.
    pub(crate) fn weights(&self, head: bool) -> Vec<(String, Vec<i64>)> {
        let family = self.family;
        let mut weights = Vec::new();
        weights.push((join(family.stack, family.embedding, "weight"), vec![self.vocabulary, self.hidden]));
        if let Some(positions) = family.positions {
            weights.push((join(family.stack, positions, "weight"), vec![self.positions, self.hidden]));
        }
        for layer in 0..self.layers.len() {
            self.layer_weights(&self.layer_path(layer), &mut weights);
        }
        self.norm_weights(family.stack, family.final_norm, self.hidden, &mut weights);
        if head {
            weights.push((join("", HEAD, "weight"), vec![self.vocabulary, self.hidden]));
        }
        weights
    }

    fn layer_weights(&self, path: &str, weights: &mut Vec<(String, Vec<i64>)>) {
        let family = self.family;
        let norms = &family.norms;
        let before = [Some(norms.before_attention), norms.after_attention];
        for norm in before.into_iter().chain([Some(norms.before_ffn), norms.after_ffn]).flatten() {
            self.norm_weights(path, norm, self.hidden, weights);
        }
        let attention = format!("{path}.{}", family.attention);
        let queries = self.heads * self.head_width;
        let keys = self.key_value_heads * self.head_width;
        let mut linear = |module: &str, name: &str, input: i64, output: i64, bias: bool| {
            let shape = match family.linear {
                Layout::OutIn => vec![output, input],
                Layout::InOut => vec![input, output],
            };
            weights.push((join(module, name, "weight"), shape));
            if bias {
                weights.push((join(module, name, "bias"), vec![output]));
            }
        };
        match family.projections {
            Projections::Separate { query, key, value } => {
                for (name, output) in [(query, queries), (key, keys), (value, keys)] {
                    linear(&attention, name, self.hidden, output, self.query_key_value_bias);
                }
            }
            Projections::Joined(name) | Projections::JoinedByHead(name) => {
                linear(&attention, name, self.hidden, queries + 2 * keys, self.query_key_value_bias);
            }
        }
        linear(&attention, family.attention_out, queries, self.hidden, self.attention_out_bias);
        let ffn = format!("{path}.{}", family.ffn);
        for name in [family.ffn_gate, Some(family.ffn_in)].into_iter().flatten() {
            linear(&ffn, name, self.hidden, self.intermediate, self.ffn_bias);
        }
        linear(&ffn, family.ffn_out, self.intermediate, self.hidden, self.ffn_bias);
        if let Some((query, key)) = family.query_key_norms {
            for name in [query, key] {
                self.norm_weights(&attention, name, self.head_width, weights);
            }
        }
    }

    fn norm_weights(&self, module: &str, name: &str, width: i64, weights: &mut Vec<(String, Vec<i64>)>) {
        weights.push((join(module, name, "weight"), vec![width]));
        if self.family.norm == NormKind::Layer {
            weights.push((join(module, name, "bias"), vec![width]));
        }
    }
}

impl Needs for DecoderSpec {
    fn model_type(&self) -> &str {
        self.family.model_type
    }

    /// The name in a model with its head: checkpoints of the decoder alone leave its path out.
    fn canonical(&self, name: &str) -> String {
        let family = self.family;
        if let Some((rest, new)) =
            family.renamed.iter().find_map(|(old, new)| Some((name.strip_prefix(old)?, new)))
        {
            return format!("{new}{rest}");
        }
        let parts = [family.embedding, family.layers, family.final_norm];
        let bare = |part: &str| name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'));
        if parts.into_iter().chain(family.positions).any(bare) {
            format!("{}.{name}", family.stack)
        } else {
            name.to_owned()
        }
    }

    fn needed(&self, found: &dyn Fn(&str) -> bool) -> Vec<(String, Vec<i64>)> {
        self.weights(!self.tied || found(&join("", HEAD, "weight")))
    }

    fn is_unused(&self, name: &str) -> bool {
        let family = self.family;
        family.unused.iter().any(|head| name.starts_with(head))
            || family.buffers.iter().any(|end| name.ends_with(end))
    }
}
