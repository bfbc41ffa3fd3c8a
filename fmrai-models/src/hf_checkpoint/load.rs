//! From a folder to a model.

use fmrai_core::file_kind::plain;
use fmrai_core::registry::Named;
use fmrai_torch::model::{LoadContext, Model, ModelError, ModelInfo};
use fmrai_torch::text::{FoundTokenizer, Tokenizer};
use serde_json::Value;

use super::config_file::{ConfigFile, supported};
use super::quantised::Scheme;
use super::source::HfCheckpoint;
use super::weights::Weights;
use crate::options::Options;
use crate::transformer::decoder::{self, CausalLm, DecoderSpec};
use crate::transformer::encoder::{EncoderConfig, EncoderModel};
use crate::transformer::{Fields, Loaded, Needs, Placed, count};

impl HfCheckpoint {
    /// Reads a decoder, which can generate.
    ///
    /// # Errors
    /// As [`ModelSource::load`](fmrai_torch::model::ModelSource::load); [`ModelError::File`] for an encoder, too.
    pub fn load_causal_lm(&self, context: &LoadContext<'_>) -> Result<CausalLm, ModelError> {
        let config = ConfigFile::read(&context.base.join(&self.path))?;
        let Some(spec) = decoder::read(config.model_type(), Fields::new(config.fields(), "")) else {
            let (found, needed) = (config.model_type(), decoder::names());
            return config.blame(Err(format!("`model_type` is {found:?}, decoders are {needed}")));
        };
        decoder_of(&config, config.blame(spec)?, &self.options(context)?)
    }

    fn options(&self, context: &LoadContext<'_>) -> Result<Options, ModelError> {
        Options::new(context, self.attention, self.dtype, self.weight_bytes)
    }
}

/// Reads an encoder or a decoder.
pub(super) fn load(source: &HfCheckpoint, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
    let config = ConfigFile::read(&context.base.join(&source.path))?;
    let options = source.options(context)?;
    let (model_type, fields) = (config.model_type(), Fields::new(config.fields(), ""));
    if let Some(encoder) = EncoderConfig::read(model_type, fields) {
        let encoder = config.blame(encoder)?;
        let network = Network {
            needs: &encoder,
            parts: encoder.parts(),
            vocabulary: encoder.vocabulary,
            padding: encoder.padding,
            max_tokens: encoder.max_tokens(),
        };
        let loaded = network.load(&config, &options)?;
        return Ok(Box::new(EncoderModel::new(loaded, encoder, options.attention)?));
    }
    if let Some(spec) = decoder::read(model_type, fields) {
        return Ok(Box::new(decoder_of(&config, config.blame(spec)?, &options)?));
    }
    let needed = supported();
    config.blame(Err(format!("`model_type` is {model_type:?}, supported are {needed}")))
}

fn decoder_of(config: &ConfigFile, mut spec: DecoderSpec, options: &Options) -> Result<CausalLm, ModelError> {
    let network = Network {
        needs: &spec,
        parts: spec.parts(),
        vocabulary: spec.vocabulary,
        padding: spec.padding,
        max_tokens: spec.max_tokens,
    };
    let mut loaded = network.load(config, options)?;
    decoder::tie(&mut loaded, &spec)?;
    if let Some(tokens) = generation_end_tokens(config)? {
        spec.end_tokens = tokens;
    }
    CausalLm::new(loaded, spec, options.attention)
}

/// What weights and tokenizer are read for.
struct Network<'a> {
    needs: &'a dyn Needs,
    /// Module paths of the parts whose weights may be made for each pass, those first that should rather stay.
    parts: Vec<String>,
    vocabulary: i64,
    padding: Option<i64>,
    max_tokens: i64,
}

impl Network<'_> {
    /// Reads weights and tokenizer of the checkpoint that `config` belongs to.
    fn load(&self, config: &ConfigFile, options: &Options) -> Result<Loaded, ModelError> {
        let scheme = config.blame(Scheme::read(config.fields()))?;
        let rows = u32::try_from(self.vocabulary).unwrap_or(u32::MAX);
        let padding = self.padding.and_then(|id| u32::try_from(id).ok());
        let FoundTokenizer { tokenizer, files: tokenizer_files, warnings } =
            Tokenizer::find(config.folder(), rows, padding)?;
        let read = Weights::load(config.folder(), self.needs, scheme.as_ref(), &self.parts, options)?;
        let mut files = read.files;
        files.push(config.file().clone());
        files.extend(tokenizer_files);
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files.dedup();
        let Placed { weights, on_demand, remade_bytes } = read.placed;
        let info = ModelInfo {
            source: HfCheckpoint::NAME.to_owned(),
            architecture: config.model_type().to_owned(),
            path: config.folder().to_owned(),
            files,
            parameters: count(&weights),
            dtype: options.dtype.into(),
            max_tokens: usize::try_from(self.max_tokens).ok(),
            quantisation: read.quantisation,
            remade_bytes,
            unused_weights: read.unused,
            non_finite_weights: read.non_finite,
            warnings: read.warnings.into_iter().chain(warnings).collect(),
        };
        Ok(Loaded { info, weights, on_demand, tokenizer, device: options.device })
    }
}

/// The end tokens that generation_config.json names, if there is one and it does.
fn generation_end_tokens(file: &ConfigFile) -> Result<Option<Vec<u32>>, ModelError> {
    let path = file.folder().join("generation_config.json");
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ModelError::Io { path, source }),
    };
    let wrong = |what: String| ModelError::File { path: path.clone(), what };
    let text = plain(&bytes).map_err(wrong)?;
    let json: Value = serde_json::from_slice(text).map_err(|e| wrong(format!("malformed JSON: {e}")))?;
    let Some(value) = json.get("eos_token_id").filter(|value| !value.is_null()) else { return Ok(None) };
    let tokens = decoder::end_tokens(value);
    tokens.map(Some).ok_or_else(|| {
        wrong(format!("`eos_token_id` is {value}, an integer, a list of them or null is needed"))
    })
}
