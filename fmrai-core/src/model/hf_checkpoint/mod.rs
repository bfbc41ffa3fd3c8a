//! Hugging Face checkpoints of encoders: a folder with config.json, safetensors weights and tokenizer.json.
//!
//! Supported values of `model_type`: bert (also MiniLM), roberta, xlm-roberta, camembert, distilbert. Weights may be
//! stored as float32, float16 or bfloat16; the model computes in float32 on every device.

mod activation;
mod config;
mod encoder;
mod family;
mod inputs;
mod modules;
mod safetensors;
mod weights;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::files::Hasher;
use super::{InputSpec, LoadContext, Model, ModelError, ModelInfo, ModelSource, NamedTensors, SourceEntry};
use crate::analyzer::schema_of;
use crate::data::Tokenizer;
use crate::structure::AttentionForm;
use crate::tensor::DType;
use config::EncoderConfig;
use encoder::Encoder;
use weights::Weights;

const NAME: &str = "hf_checkpoint";

pub(super) const ENTRY: SourceEntry = SourceEntry {
    name: NAME,
    summary: "Hugging Face folder of an encoder: config.json, model.safetensors or shards, tokenizer.json",
    schema: schema_of::<HfCheckpoint>,
};

/// A Hugging Face folder of an encoder: `config.json`, `model.safetensors` (or `model.safetensors.index.json` and its
/// shards) and `tokenizer.json`.
///
/// Supported values of `model_type` in config.json: bert (also MiniLM), roberta, xlm-roberta, camembert, distilbert.
/// Inputs are `input_ids` and `attention_mask` (1 for tokens, 0 for padding), and optionally `token_type_ids` and
/// `position_ids`, all `[batch, token]` of int64. Outputs are `last_hidden_state` `[batch, token, channel]` and, if the
/// checkpoint has a pooler, `pooler_output` `[batch, channel]`, of float32 whatever the type of the stored weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HfCheckpoint {
    /// The folder, relative to the plan.
    pub path: PathBuf,
    /// How attention is computed: `fused` (the default), with `scaled_dot_product_attention`, or `eager`. Results
    /// agree within rounding.
    #[serde(default = "fused")]
    pub attention: AttentionForm,
}

fn fused() -> AttentionForm {
    AttentionForm::Fused
}

#[typetag::serde(name = "hf_checkpoint")]
impl ModelSource for HfCheckpoint {
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        Ok(Box::new(HfModel::load(&context.base.join(&self.path), self.attention, context.device)?))
    }
}

/// A loaded encoder.
#[derive(Debug)]
struct HfModel {
    info: ModelInfo,
    config: EncoderConfig,
    weights: Weights,
    encoder: Encoder,
    tokenizer: Tokenizer,
    device: Device,
}

impl HfModel {
    fn load(folder: &Path, form: AttentionForm, device: Device) -> Result<Self, ModelError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| ModelError::Io { path, source }
        };
        if !std::fs::metadata(folder).map_err(io(folder))?.is_dir() {
            let what = "a folder with config.json, model.safetensors and tokenizer.json is needed".to_owned();
            return Err(ModelError::File { path: folder.to_owned(), what });
        }
        let path = folder.join("config.json");
        let bytes = std::fs::read(&path).map_err(io(&path))?;
        let config = EncoderConfig::parse(&bytes, &path)?;
        let mut hasher = Hasher::new();
        hasher.update(&bytes);

        let rows = u32::try_from(config.vocabulary).unwrap_or(u32::MAX);
        let padding = config.padding.and_then(|id| u32::try_from(id).ok());
        let (tokenizer, tokenizer_files) = Tokenizer::load(folder, rows, padding)?;
        let mut weights = Weights::load(folder, &config, device)?;
        let encoder = Encoder::new(&weights.tensors, &config, form)?;
        let mut files = std::mem::take(&mut weights.files);
        files.push(hasher.finish("config.json"));
        files.extend(tokenizer_files);
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let info = ModelInfo {
            source: NAME.to_owned(),
            architecture: config.model_type.clone(),
            path: folder.to_owned(),
            files,
            parameters: weights.tensors.values().map(|t| t.numel() as u64).sum(),
            dtype: DType::Float32,
            max_tokens: usize::try_from(config.max_tokens()).ok(),
            unused_weights: std::mem::take(&mut weights.unused),
            non_finite_weights: std::mem::take(&mut weights.non_finite),
        };
        Ok(Self { info, config, weights, encoder, tokenizer, device })
    }
}

impl Model for HfModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.weights.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        Some(&self.tokenizer)
    }

    fn inputs(&self) -> Vec<InputSpec> {
        inputs::specs(&self.config)
    }

    /// The weights do not require gradients, so none are recorded unless a caller asks for them on its `parameters`.
    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        let inputs = inputs::check(inputs, &self.config, self.device)?;
        let outputs = self.encoder.forward(&inputs)?;
        let mut named = vec![("last_hidden_state".to_owned(), outputs.last_hidden_state)];
        named.extend(outputs.pooler.map(|pooler| ("pooler_output".to_owned(), pooler)));
        Ok(NamedTensors(named))
    }
}
