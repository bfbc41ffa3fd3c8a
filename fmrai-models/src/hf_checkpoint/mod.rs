//! Hugging Face checkpoints: a folder with config.json, safetensors weights and tokenizer.json.
//!
//! Encoders of the BERT family and decoders from GPT-2 to Gemma 3. No Python anywhere.

mod config_file;
mod folder;
mod forms;
mod found;
mod in_file;
mod load;
mod quantised;
mod reading;
mod safetensors;
mod shards;
mod sorting;
mod source;
mod stored;
mod weights;
mod wrappers;

pub use source::HfCheckpoint;

use fmrai_torch::model::{LoadContext, Model, ModelError, ModelSource};

impl ModelSource for HfCheckpoint {
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        load::load(self, context)
    }
}

fmrai_torch::register_model_source!(
    HfCheckpoint,
    name: "hf_checkpoint",
    summary: "Hugging Face folder of an encoder or decoder: config.json, model.safetensors or shards, tokenizer.json",
);
