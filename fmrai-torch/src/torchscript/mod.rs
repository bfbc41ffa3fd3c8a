//! TorchScript: files of `torch.jit.save`, from `torch.jit.trace` or `torch.jit.script`.

mod config;
mod interpreter;
mod loaded;

pub use config::TorchScript;

use crate::model::{LoadContext, Model, ModelError, ModelSource};

impl ModelSource for TorchScript {
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        loaded::load(self, context)
    }
}

crate::register_model_source!(
    TorchScript,
    name: "torchscript",
    summary: "TorchScript: a .pt file of torch.jit.save (deprecated by PyTorch; prefer exported_program)",
);
