//! `fmrai inspect`.

mod graph;
mod model;
mod modules;
mod structure;

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use fmrai_core::data::{DataContext, DataSource};
use fmrai_core::graph::{DotOptions, RecordedGraph, to_dot, to_json};
use fmrai_core::model::{LoadContext, Model, ModelSource, NamedTensors, kind_of};
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

/// Tells what a model is made of, where it can without running it.
pub(crate) fn inspect(
    path: &Path,
    dot: Option<&Path>,
    json: Option<&Path>,
    text: Option<&str>,
    data: Option<&Path>,
) -> Result<Exit, Error> {
    let model = load(path)?;
    let graph = graph_of(model.as_ref(), text, data)?;
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

/// The model in a folder or file, or that of a plan.
fn load(path: &Path) -> Result<Box<dyn Model>, Error> {
    if let Some(kind) = kind_of(path)? {
        let source = json!({ "type": kind, "path": path });
        let source: Box<dyn ModelSource> =
            serde_json::from_value(source).map_err(|e| Error::Internal(e.to_string()))?;
        return Ok(source.load(&LoadContext { base: Path::new(""), device: Device::Cpu })?);
    }
    let plan = plan::read(path, &Catalogue::linked()?)?;
    Ok(plan.model.load(&LoadContext { base: &plan.base, device: Device::Cpu })?)
}

/// The graph that is known before the model runs, or that of a run on the first batch of some data.
fn graph_of(model: &dyn Model, text: Option<&str>, data: Option<&Path>) -> Result<Arc<RecordedGraph>, Error> {
    let inputs = match (text, data, model.graph()) {
        (None, None, Some(Ok(graph))) => return Ok(graph),
        (None, None, Some(Err(error))) if model.tokenizer().is_none() => {
            return Err(Error::Usage(format!("{error}; give it some with --data")));
        }
        (_, Some(file), _) => first_batch(model, file)?,
        (Some(text), None, _) => probe(model, text)?,
        (None, None, _) if model.tokenizer().is_none() => {
            let names: Vec<String> = model.inputs().into_iter().map(|input| input.name).collect();
            let what =
                "the model has no tokenizer: give it ready tensors with --data FILE.safetensors, named";
            return Err(Error::Usage(format!("{what} {}", names.join(", "))));
        }
        (None, None, _) => probe(model, PROBE)?,
    };
    Watched::new(model, Parity::Off)?.discover(&inputs)
}

/// The inputs of the first batch of a file of texts (.txt) or of tensors (.safetensors, .npy).
fn first_batch(model: &dyn Model, file: &Path) -> Result<NamedTensors, Error> {
    let kind = match file.extension().and_then(OsStr::to_str) {
        Some("txt") => "text",
        Some("safetensors" | "npy") => "tensors",
        _ => {
            let what = "--data takes a .txt, .safetensors or .npy file; a plan names data of other kinds";
            return Err(Error::Usage(what.to_owned()));
        }
    };
    let source: Box<dyn DataSource> = serde_json::from_value(json!({ "type": kind, "path": file }))
        .map_err(|e| Error::Internal(e.to_string()))?;
    let inputs = model.inputs();
    let context = DataContext {
        base: Path::new(""),
        tokenizer: model.tokenizer(),
        max_tokens: model.info().max_tokens,
        inputs: &inputs,
    };
    let first = source.open(&context)?.next_batch()?;
    first
        .map(|batch| batch.inputs)
        .ok_or_else(|| Error::Usage(format!("{}: there is nothing in it", file.display())))
}

/// The inputs that a data source makes of one text.
fn probe(model: &dyn Model, text: &str) -> Result<NamedTensors, Error> {
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
