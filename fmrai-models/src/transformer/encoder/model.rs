//! An encoder as a [`Model`].

use std::sync::Arc;

use fmrai_core::structure::AttentionForm;
use fmrai_torch::Tensor;
use fmrai_torch::model::{InputSpec, Model, ModelError, ModelInfo, NamedTensors, RemadeWeights};
use fmrai_torch::text::Tokenizer;

use super::config::EncoderConfig;
use super::network::Encoder;
use crate::convert::{OfModel, from_tch};
use crate::transformer::inputs::{self, Limits};
use crate::transformer::loaded::Loaded;

/// A loaded encoder.
#[derive(Debug)]
pub(crate) struct EncoderModel {
    loaded: Loaded,
    config: EncoderConfig,
    encoder: Encoder,
}

impl EncoderModel {
    /// The encoder that `config` describes, with what was loaded of it.
    pub(crate) fn new(
        loaded: Loaded,
        config: EncoderConfig,
        attention: AttentionForm,
    ) -> Result<Self, ModelError> {
        let encoder = Encoder::new(&loaded.weights, &config, attention).of_model()?;
        Ok(Self { loaded, config, encoder })
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
        &self.loaded.info
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.loaded.parameters()
    }

    fn remade_weights(&self) -> Option<Arc<dyn RemadeWeights>> {
        self.loaded.on_demand.remade()
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        self.loaded.tokenizer.as_ref()
    }

    fn inputs(&self) -> Vec<InputSpec> {
        inputs::specs(&self.limits())
    }

    /// The weights do not require gradients, so none are recorded unless a caller asks for them on its `parameters`.
    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        let inputs = inputs::check(inputs, &self.limits(), self.loaded.device)?;
        let outputs = self.encoder.forward(&inputs, &self.loaded.on_demand)?;
        let mut named = vec![("last_hidden_state".to_owned(), from_tch(&outputs.last_hidden_state))];
        named.extend(outputs.pooler.map(|pooler| ("pooler_output".to_owned(), from_tch(&pooler))));
        Ok(NamedTensors(named))
    }
}
