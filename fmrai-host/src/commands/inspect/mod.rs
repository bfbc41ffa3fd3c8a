//! `fmrai inspect`.

mod graph;
mod model;
mod modules;
mod structure;

use std::path::Path;

use fmrai_core::data::{DataContext, DataSource};
use fmrai_core::graph::{DotOptions, to_dot, to_json};
use fmrai_core::model::{LoadContext, Model, ModelSource};
use fmrai_core::structure::Structure;
use serde_json::json;
use tch::Device;

use crate::error::{Error, Exit};
use crate::plan::{self, Catalogue, Parity};
use crate::results::write;
use crate::run::Watched;
use crate::terminal;

/// What a model is run on where nothing else is asked for.
pub(crate) const PROBE: &str = "The quick brown fox jumps over the lazy dog.";

/// Runs a model on a short text and tells what it is made of.
pub(crate) fn inspect(
    path: &Path,
    dot: Option<&Path>,
    json: Option<&Path>,
    text: &str,
) -> Result<Exit, Error> {
    let model = load(path)?;
    let inputs = probe(model.as_ref(), text)?;
    let graph = Watched::new(model.as_ref(), Parity::Off)?.discover(&inputs)?;
    let structure = Structure::of(graph.as_ref());
    if let Some(file) = dot {
        let info = model.info();
        let title = format!("{} {}", info.architecture, info.path.display());
        let options = DotOptions { title, structure: Some(structure.clone()), ..DotOptions::default() };
        write(file, to_dot(graph.as_ref(), &options).as_bytes())?;
    }
    if let Some(file) = json {
        let document =
            to_json(graph.as_ref()).map_err(|e| Error::Internal(format!("the graph as JSON: {e}")))?;
        write(file, document.as_bytes())?;
    }
    terminal::answer(
        &[
            model::text(model.as_ref()),
            graph::text(graph.as_ref()),
            structure::text(graph.as_ref(), &structure),
            modules::text(graph.as_ref()),
        ]
        .concat(),
    )?;
    Ok(Exit::Success)
}

/// The model in a folder, or that of a plan.
fn load(path: &Path) -> Result<Box<dyn Model>, Error> {
    if path.is_dir() {
        let source = json!({ "type": "hf_checkpoint", "path": path });
        let source: Box<dyn ModelSource> =
            serde_json::from_value(source).map_err(|e| Error::Internal(e.to_string()))?;
        return Ok(source.load(&LoadContext { base: Path::new(""), device: Device::Cpu })?);
    }
    let plan = plan::read(path, &Catalogue::linked()?)?;
    Ok(plan.model.load(&LoadContext { base: &plan.base, device: Device::Cpu })?)
}

/// The inputs that a data source makes of one text.
fn probe(model: &dyn Model, text: &str) -> Result<fmrai_core::model::NamedTensors, Error> {
    let internal = |e: std::io::Error| Error::Internal(format!("the probe text: {e}"));
    let folder = tempfile::tempdir().map_err(internal)?;
    std::fs::write(folder.path().join("probe.txt"), text.replace(['\r', '\n'], " ")).map_err(internal)?;
    let source: Box<dyn DataSource> = serde_json::from_value(json!({ "type": "text", "path": "probe.txt" }))
        .map_err(|e| Error::Internal(e.to_string()))?;
    let inputs = model.inputs();
    let context = DataContext {
        base: folder.path(),
        tokenizer: model.tokenizer(),
        max_tokens: model.info().max_tokens,
        inputs: &inputs,
    };
    let first = source.open(&context)?.next_batch()?;
    first.map(|batch| batch.inputs).ok_or_else(|| Error::Usage("--text has no tokens in it".to_owned()))
}
