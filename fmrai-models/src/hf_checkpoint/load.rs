//! From a folder to a model.

use fmrai_torch::model::{LoadContext, Model, ModelError};

use super::checkpoint::{Config, supported};
use super::decoder::{self, CausalLm};
use super::encoder::EncoderModel;
use super::options::Options;
use super::source::HfCheckpoint;
use crate::convert::device_of;

impl HfCheckpoint {
    /// Reads a decoder, which can generate.
    ///
    /// # Errors
    /// As [`ModelSource::load`](fmrai_torch::model::ModelSource::load); [`ModelError::File`] for an encoder, too.
    pub fn load_causal_lm(&self, context: &LoadContext<'_>) -> Result<CausalLm, ModelError> {
        let config = Config::read(&context.base.join(&self.path))?;
        CausalLm::load(&config, self.options(context)?).unwrap_or_else(|| {
            let (found, needed) = (config.model_type(), decoder::names());
            config.blame(Err(format!("`model_type` is {found:?}, decoders are {needed}")))
        })
    }

    fn options(&self, context: &LoadContext<'_>) -> Result<Options, ModelError> {
        Ok(Options { attention: self.attention, dtype: self.dtype, device: device_of(context.device)? })
    }
}

/// Reads an encoder or a decoder.
pub(super) fn load(source: &HfCheckpoint, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
    let config = Config::read(&context.base.join(&source.path))?;
    let options = source.options(context)?;
    if let Some(model) = EncoderModel::load(&config, options) {
        return Ok(Box::new(model?));
    }
    if let Some(model) = CausalLm::load(&config, options) {
        return Ok(Box::new(model?));
    }
    let (found, needed) = (config.model_type(), supported());
    config.blame(Err(format!("`model_type` is {found:?}, supported are {needed}")))
}
