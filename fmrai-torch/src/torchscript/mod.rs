//! TorchScript: files of `torch.jit.save`, from `torch.jit.trace` or `torch.jit.script`.

mod config;
mod interpreter;
mod loaded;

pub use config::TorchScript;

crate::register_model_source!(
    TorchScript,
    name: "torchscript",
    summary: "TorchScript: a .pt file of torch.jit.save (deprecated by PyTorch; prefer exported_program)",
    load: loaded::load,
);
