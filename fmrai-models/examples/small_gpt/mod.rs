//! What the examples that train a small GPT-2 share: its first weights, its logits, and its files.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use fmrai_models::{CausalLm, from_tch, to_tch};
use fmrai_torch::model::{Model, NamedTensors};
use serde_json::Value;
use tch::Tensor;
use tch::nn::{Init, VarStore};

/// Whatever goes wrong ends an example with a message.
pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// How an example ends: what went wrong is told.
#[allow(clippy::print_stderr, reason = "an example talks to its user")]
pub(crate) fn ended(result: Fallible<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Trainable weights as Radford et al. 2019 start from: normal with deviation 0.02, what writes to the residual stream
/// smaller the more layers there are; norms that change nothing.
pub(crate) fn weights(
    variables: &VarStore,
    config: &Value,
    layers: i64,
) -> Fallible<BTreeMap<String, Tensor>> {
    let mut weights = BTreeMap::new();
    for (name, shape) in CausalLm::weight_shapes(config)? {
        let (module, kind) = name.rsplit_once('.').unwrap_or(("", &name));
        let norm = module.rsplit('.').next().is_some_and(|part| part.starts_with("ln_"));
        #[expect(clippy::cast_precision_loss, reason = "there are few layers")]
        let residual = 0.02 / (2.0 * layers as f64).sqrt();
        let init = match kind {
            "bias" => Init::Const(0.0),
            _ if norm => Init::Const(1.0),
            _ if module.ends_with("c_proj") => Init::Randn { mean: 0.0, stdev: residual },
            _ => Init::Randn { mean: 0.0, stdev: 0.02 },
        };
        let path = module.split('.').fold(variables.root(), |path, part| path / part);
        weights.insert(name.clone(), path.f_var(kind, &shape, init)?);
    }
    Ok(weights)
}

/// The logits `[batch, token, vocabulary]` of `ids` `[batch, token]`, int64, without padding.
pub(crate) fn logits(model: &CausalLm, ids: &Tensor) -> Fallible<Tensor> {
    let mask = ids.f_ones_like()?;
    let inputs =
        NamedTensors(vec![("input_ids".into(), from_tch(ids)), ("attention_mask".into(), from_tch(&mask))]);
    let outputs = model.forward(&inputs)?;
    Ok(to_tch(outputs.get("logits").ok_or("no logits")?))
}

/// Writes the files of a Hugging Face folder; config.json, without which it is none, last.
pub(crate) fn write_folder(
    model: &CausalLm,
    config: &Value,
    tokenizer: &Value,
    folder: &Path,
) -> Fallible<()> {
    write(folder, "model.safetensors", |path| {
        let parameters = model.parameters().into_iter();
        let tensors: Vec<_> = parameters.map(|(name, tensor)| (name, to_tch(&tensor).detach())).collect();
        Ok(Tensor::write_safetensors(&tensors, path)?)
    })?;
    let tokenizer = tokenizer.to_string();
    write(folder, "tokenizer.json", |path| Ok(std::fs::write(path, tokenizer)?))?;
    let config = serde_json::to_string_pretty(config)?;
    write(folder, "config.json", |path| Ok(std::fs::write(path, config)?))
}

/// Writes a file beside its place and renames it.
pub(crate) fn write(folder: &Path, name: &str, write: impl FnOnce(&Path) -> Fallible<()>) -> Fallible<()> {
    let beside = folder.join(format!(".{name}.tmp"));
    let place = folder.join(name);
    let written = write(&beside).and_then(|()| Ok(std::fs::rename(&beside, &place)?));
    written.map_err(|e| format!("{}: {e}", place.display()).into())
}
