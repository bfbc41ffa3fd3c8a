//! What a plan says of a checkpoint.

use std::path::PathBuf;

use fmrai_core::structure::AttentionForm;
use fmrai_core::tensor::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Kind;

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
    pub(super) fn kind(self) -> Kind {
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

impl HfCheckpoint {
    /// The folder at `path`, with fused attention and in float32.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), attention: fused(), dtype: Precision::Float32 }
    }
}
