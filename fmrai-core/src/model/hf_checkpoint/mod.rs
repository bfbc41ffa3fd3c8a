//! Hugging Face checkpoints: a folder with config.json, safetensors weights and tokenizer.json.
//!
//! Encoders of the BERT family and decoders from GPT-2 to Gemma 3, each kind one implementation with the differences
//! between families as data. No Python anywhere.

mod activation;
mod checkpoint;
mod decoder;
mod encoder;
mod fields;
mod folder;
mod inputs;
mod modules;
mod safetensors;
mod shards;
mod weights;
mod wrappers;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use super::{LoadContext, Model, ModelError, ModelSource, SourceEntry};
use crate::analyzer::schema_of;
use crate::structure::AttentionForm;
use crate::tensor::DType;
use checkpoint::Config;
pub use decoder::{Cache, CausalLm};
use encoder::EncoderModel;

const NAME: &str = "hf_checkpoint";

pub(super) const ENTRY: SourceEntry = SourceEntry {
    name: NAME,
    summary: "Hugging Face folder of an encoder or decoder: config.json, model.safetensors or shards, tokenizer.json",
    schema: schema_of::<HfCheckpoint>,
};

/// A Hugging Face folder: `config.json`, `model.safetensors` (or `model.safetensors.index.json` and its shards) and, for
/// texts, `tokenizer.json`, `vocab.txt`, or `vocab.json` with `merges.txt`.
///
/// Supported values of `model_type` in config.json: the encoders bert (also MiniLM), roberta, xlm-roberta, camembert
/// and distilbert, and the decoders gemma2, gemma3, gemma3_text, gpt2, gpt_neox (also Pythia), llama, mistral, qwen2
/// and qwen3.
/// Inputs are `input_ids` and `attention_mask` (1 for tokens, 0 for padding), and optionally `token_type_ids` and
/// `position_ids`, all `[batch, token]` of int64. Outputs of an encoder are `last_hidden_state` `[batch, token, channel]`
/// and, if the checkpoint has a pooler, `pooler_output` `[batch, channel]`; that of a decoder is `logits`
/// `[batch, token, vocabulary]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HfCheckpoint {
    /// The folder, relative to the plan.
    pub path: PathBuf,
    /// How attention is computed: `fused` (the default), with `scaled_dot_product_attention`, or `eager`. Results
    /// agree within rounding. Attention with soft-capped scores is always eager.
    #[serde(default = "fused")]
    pub attention: AttentionForm,
    /// Element type that the model computes in, whatever the weights are stored as: `float32` (the default),
    /// `bfloat16` or `float16`.
    #[serde(default)]
    pub dtype: Precision,
}

fn fused() -> AttentionForm {
    AttentionForm::Fused
}

/// Element type that a model computes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits: 4 bytes for each weight.
    #[default]
    Float32,
    /// 16 bits, with the range of float32 and 8 bits of precision.
    Bfloat16,
    /// 16 bits, up to 65504 and with 11 bits of precision.
    Float16,
}

impl Precision {
    fn kind(self) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Bfloat16 => Kind::BFloat16,
            Self::Float16 => Kind::Half,
        }
    }
}

impl From<Precision> for DType {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Float32 => Self::Float32,
            Precision::Bfloat16 => Self::BFloat16,
            Precision::Float16 => Self::Float16,
        }
    }
}

/// How to load a checkpoint.
#[derive(Debug, Clone, Copy)]
struct Options {
    attention: AttentionForm,
    dtype: Precision,
    device: Device,
}

impl HfCheckpoint {
    /// The folder at `path`, with fused attention and in float32.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), attention: fused(), dtype: Precision::Float32 }
    }

    /// Reads a decoder, which can generate.
    ///
    /// # Errors
    /// As [`ModelSource::load`]; [`ModelError::File`] for an encoder, too.
    pub fn load_causal_lm(&self, context: &LoadContext<'_>) -> Result<CausalLm, ModelError> {
        let config = Config::read(&context.base.join(&self.path))?;
        CausalLm::load(&config, self.options(context)).unwrap_or_else(|| {
            let (found, needed) = (config.model_type(), decoder::names());
            config.blame(Err(format!("`model_type` is {found:?}, decoders are {needed}")))
        })
    }

    fn options(&self, context: &LoadContext<'_>) -> Options {
        Options { attention: self.attention, dtype: self.dtype, device: context.device }
    }
}

#[typetag::serde(name = "hf_checkpoint")]
impl ModelSource for HfCheckpoint {
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        let config = Config::read(&context.base.join(&self.path))?;
        let options = self.options(context);
        if let Some(model) = EncoderModel::load(&config, options) {
            return Ok(Box::new(model?));
        }
        if let Some(model) = CausalLm::load(&config, options) {
            return Ok(Box::new(model?));
        }
        let (found, needed) = (config.model_type(), checkpoint::supported());
        config.blame(Err(format!("`model_type` is {found:?}, supported are {needed}")))
    }
}
