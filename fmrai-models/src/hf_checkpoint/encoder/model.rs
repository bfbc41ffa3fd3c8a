//! An encoder as a [`Model`].

use fmrai_torch::Tensor;
use fmrai_torch::model::{InputSpec, Model, ModelError, ModelInfo, NamedTensors};
use fmrai_torch::text::Tokenizer;

use super::config::EncoderConfig;
use super::network::Encoder;
use crate::convert::{OfModel, from_tch};
use crate::hf_checkpoint::checkpoint::{Checkpoint, Config};
use crate::hf_checkpoint::fields::Fields;
use crate::hf_checkpoint::inputs::{self, Limits};
use crate::hf_checkpoint::options::Options;

/// A loaded encoder.
#[derive(Debug)]
pub(crate) struct EncoderModel {
    checkpoint: Checkpoint,
    config: EncoderConfig,
    encoder: Encoder,
}

impl EncoderModel {
    /// Loads the checkpoint that `config` belongs to; `None` if it is no encoder.
    pub(crate) fn load(config: &Config, options: Options) -> Option<Result<Self, ModelError>> {
        let read = EncoderConfig::read(config.model_type(), Fields::new(config.fields(), ""))?;
        Some(config.blame(read).and_then(|encoder| Self::of(config, encoder, options)))
    }

    fn of(file: &Config, config: EncoderConfig, options: Options) -> Result<Self, ModelError> {
        let tokens = usize::try_from(config.max_tokens()).ok();
        let checkpoint = Checkpoint::load(file, &config, config.vocabulary, config.padding, tokens, options)?;
        let encoder = Encoder::new(&checkpoint.weights, &config, options.attention).of_model()?;
        Ok(Self { checkpoint, config, encoder })
    }

    fn limits(&self) -> Limits<'_> {
        let config = &self.config;
        Limits {
            model_type: &config.model_type,
            vocabulary: config.vocabulary,
            token_types: config.family.token_types.then_some(config.token_types),
            tokens: config.max_tokens(),
            positions: config.positions,
        }
    }
}

impl Model for EncoderModel {
    fn info(&self) -> &ModelInfo {
        &self.checkpoint.info
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.checkpoint.parameters()
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        self.checkpoint.tokenizer.as_ref()
    }

    fn inputs(&self) -> Vec<InputSpec> {
        inputs::specs(&self.limits())
    }

    /// The weights do not require gradients, so none are recorded unless a caller asks for them on its `parameters`.
    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        let inputs = inputs::check(inputs, &self.limits(), self.checkpoint.device)?;
        let outputs = self.encoder.forward(&inputs).of_model()?;
        let mut named = vec![("last_hidden_state".to_owned(), from_tch(&outputs.last_hidden_state))];
        named.extend(outputs.pooler.map(|pooler| ("pooler_output".to_owned(), from_tch(&pooler))));
        Ok(NamedTensors(named))
    }
}
