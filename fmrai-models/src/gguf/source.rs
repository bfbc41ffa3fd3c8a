//! What a plan says of a GGUF file.

use std::path::PathBuf;

use fmrai_core::structure::AttentionForm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::options::{Precision, fused_attention};

/// A GGUF file (version 2 or 3, little-endian), as llama.cpp, Ollama and LM Studio use: weights, config and tokenizer in one. Of a file
/// that was split (`NAME-00001-of-00003.gguf`) any part may be given; the others lie beside it.
///
/// Supported values of `general.architecture`: bert, gemma2, gemma3, gpt2, gptneox, llama (also Mistral), qwen2 and
/// qwen3. Types of weights: BF16, F16, F32, IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K and
/// Q8_0. Inputs and outputs are those of `hf_checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gguf {
    /// The file, relative to the plan.
    pub path: PathBuf,
    /// How attention is computed: `fused` (the default), with `scaled_dot_product_attention`, or `eager`. Results
    /// agree within rounding. Attention with soft-capped scores is always eager.
    #[serde(default = "fused_attention")]
    pub attention: AttentionForm,
    /// Element type that the model computes in, whatever the weights are stored as: `float32` (the default),
    /// `bfloat16` or `float16`.
    #[serde(default)]
    pub dtype: Precision,
    /// Most memory for weights, in bytes, as they are computed with. Weights beyond it are read from the file again
    /// in each pass, layer by layer, which is slower and gives the same results. Not given: two thirds of the memory that is free when
    /// the model is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_bytes: Option<u64>,
}

impl Gguf {
    /// The file at `path`, with fused attention and in float32.
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
