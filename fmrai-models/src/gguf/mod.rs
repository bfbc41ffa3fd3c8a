//! GGUF files, the format of llama.cpp: weights, config and tokenizer of a model in one file, or in one that was split. Weights may be
//! quantised; they are computed with as the floating-point numbers that their blocks stand for.
//!
//! Networks are those of [`HfCheckpoint`](crate::HfCheckpoint), with the same names of modules and weights.

mod blocks;
mod container;
mod description;
mod keys;
mod load;
mod names;
mod source;
mod tokenizer;
mod weights;

pub use source::Gguf;

use fmrai_torch::model::{LoadContext, Model, ModelError, ModelSource};

impl ModelSource for Gguf {
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        load::load(self, context)
    }
}

fmrai_torch::register_model_source!(
    Gguf,
    name: "gguf",
    summary: "GGUF file of llama.cpp: a decoder or encoder with its tokenizer, weights as they are or quantised",
);
