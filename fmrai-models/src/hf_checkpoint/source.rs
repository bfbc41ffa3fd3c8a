//! What a plan says of a checkpoint.

use std::path::PathBuf;

use fmrai_core::structure::AttentionForm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::options::{Precision, fused_attention};

/// A Hugging Face folder: `config.json`, `model.safetensors` (or `model.safetensors.index.json` and its shards) and, for
/// texts, `tokenizer.json`, `vocab.txt`, or `vocab.json` with `merges.txt`.
///
/// Supported values of `model_type` in config.json: the encoders bert (also MiniLM), roberta, xlm-roberta, camembert
/// and distilbert, and the decoders gemma2, gemma3, gemma3_text, gpt2, gpt_neox (also Pythia), llama, mistral, qwen2
/// and qwen3. Weights quantised by FP8 with scales, GPTQ or AWQ are dequantised when they are read.
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
    #[serde(default = "fused_attention")]
    pub attention: AttentionForm,
    /// Element type that the model computes in, whatever the weights are stored as: `float32` (the default),
    /// `bfloat16` or `float16`.
    #[serde(default)]
    pub dtype: Precision,
    /// Most memory for weights, in bytes, as they are computed with. Weights beyond it are read from the files again
    /// in each pass, layer by layer, which is slower and gives the same results. Not given: two thirds of the memory that is free when
    /// the model is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_bytes: Option<u64>,
}

impl HfCheckpoint {
    /// The folder at `path`, with fused attention and in float32.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            attention: fused_attention(),
            dtype: Precision::Float32,
            weight_bytes: None,
        }
    }
}
