//! `fmrai inspect`.

mod graph;
mod model;
mod modules;
pub(crate) mod pages;
mod select;
mod structure;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fmrai_core::graph::{DotOptions, Graph, RecordedGraph, Summary, summary, to_dot, to_json};
use fmrai_core::selector::Selector;
use fmrai_core::structure::{Structure, StructureFile, opaque_operations};
use fmrai_torch::Device;
use fmrai_torch::data::{DataContext, RegisteredDataSource};
use fmrai_torch::model::{LoadContext, Model, NamedTensors};
use serde_json::{Value, json};

use super::source::{self, DataOptions, Named};
use crate::error::{Error, Exit};
use crate::plan::{self, Catalogue, Parity, Source};
use crate::results::write;
use crate::run::{Watched, understanding};
use crate::terminal;

/// What a model is run on where nothing else is asked for.
pub(crate) const PROBE: &str = "The quick brown fox jumps over the lazy dog.";

/// Operations beyond which a picture of all of them is not readable.
const READABLE: usize = 400;

/// What is inspected, and what is asked of it.
pub(crate) struct InspectOptions {
    pub(crate) model: PathBuf,
    pub(crate) tokenizer: Option<PathBuf>,
    pub(crate) dot: Option<PathBuf>,
    /// What the pictures show, and how deep.
    pub(crate) summary: Summary,
    pub(crate) json: Option<PathBuf>,
    pub(crate) pages: pages::PageOptions,
    pub(crate) structure: Option<PathBuf>,
    pub(crate) text: Option<String>,
    pub(crate) data: Vec<String>,
    pub(crate) field: Option<String>,
    pub(crate) select: Vec<String>,
}

/// Tells what a model is made of. A model whose graph is known beforehand runs only if data are given.
pub(crate) fn inspect(options: &InspectOptions, catalogue: &Catalogue) -> Result<Exit, Error> {
    let select: Vec<Selector> = options.select.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let Subject { model, data, told: by_plan } = subject(options, catalogue)?;
    let (model, by_plan) = (model.as_ref(), by_plan.as_ref());
    let known = if data.is_none() && options.text.is_none() { model.graph() } else { None };
    let mut structure = None;
    let (graph, how) = match known {
        Some(Ok(graph)) => (graph, "known without running it"),
        Some(Err(why)) => {
            let graph = record(model, options, None, by_plan, &mut structure).map_err(|error| match error {
                Error::Usage(advice) => Error::Usage(format!("{why}; {advice}")),
                other => other,
            });
            (graph?, "recorded in one run, since it depends on the data")
        }
        None => (record(model, options, data.as_ref(), by_plan, &mut structure)?, "recorded in one run"),
    };
    let (found, coverage) = Structure::with_coverage(graph.as_ref());
    let (structure, doubts) = match structure {
        Some(checked) => checked,
        None => (told(graph.as_ref(), found, model, by_plan)?, Vec::new()),
    };
    if let Some(file) = &options.structure {
        write(file, StructureFile::write(graph.as_ref(), &structure).as_bytes())?;
    }
    let small = match &options.summary {
        whole if *whole == Summary::default() => None,
        wanted => Some(summary(graph.as_ref(), wanted).map_err(|error| Error::Usage(error.to_string()))?),
    };
    if let Some(file) = &options.dot {
        let info = model.info();
        let title = format!("{} {}", info.architecture, info.path.display());
        let options = DotOptions { title, ..DotOptions::default() };
        let text = match &small {
            Some(small) => to_dot(small, &options),
            None => to_dot(graph.as_ref(), &DotOptions { structure: Some(structure.clone()), ..options }),
        };
        write(file, text.as_bytes())?;
        let operations = graph.operations().len();
        if small.is_none() && operations > READABLE {
            let how = "--depth N and --module PATH make smaller ones";
            terminal::note(&format!("{operations} operations are too many for a picture to be read: {how}"));
        }
    }
    if let Some(file) = &options.json {
        let document =
            to_json(graph.as_ref()).map_err(|e| Error::Internal(format!("the graph as JSON: {e}")))?;
        write(file, document.as_bytes())?;
    }
    pages::write(&options.pages, model, graph.as_ref(), &structure, small.as_ref())?;
    if !select.is_empty() {
        terminal::answer(&select::text(graph.as_ref(), &structure, &select)?)?;
        return Ok(Exit::Success);
    }
    terminal::answer(
        &[
            model::text(model),
            graph::text(graph.as_ref(), how),
            structure::text(&structure, &coverage),
            opaque_operations(graph.as_ref())
                .iter()
                .chain(&doubts)
                .map(|what| format!("warning: {what}\n"))
                .collect(),
            modules::text(graph.as_ref()),
        ]
        .concat(),
    )?;
    Ok(Exit::Success)
}

/// A model, and the data that it is to run on, with the folder that they start from.
struct Subject {
    model: Box<dyn Model>,
    data: Option<(Box<dyn RegisteredDataSource>, PathBuf)>,
    /// What a plan says of the structure.
    told: Option<StructureFile>,
}

fn subject(options: &InspectOptions, catalogue: &Catalogue) -> Result<Subject, Error> {
    let path = &options.model;
    let (model, planned, told) = match source::named(path, options.tokenizer.as_deref())? {
        Named::Model(document) => (source::load(&document, Path::new(""))?, None, None),
        Named::Plan(file) => {
            let plan = plan::read(&file, catalogue)?;
            match plan.source {
                Source::Live { model, data } => {
                    let model = model.load(&LoadContext { base: &plan.base, device: Device::Cpu })?;
                    (model, Some((data, plan.base)), plan.structure)
                }
                Source::Activations(_) => {
                    let what = "the plan has activations in place of a model: there is nothing to inspect";
                    return Err(Error::Usage(format!("{}: {what}", file.display())));
                }
            }
        }
    };
    // A plan's own data are used only where the model takes no text: a short one takes less time.
    let known = matches!(model.graph(), Some(Ok(_)));
    let mut data = planned.filter(|_| options.text.is_none() && model.tokenizer().is_none() && !known);
    if !options.data.is_empty() {
        let read =
            DataOptions { field: options.field.clone(), batch_size: Some(1), ..DataOptions::default() };
        let again = || match source::named(path, options.tokenizer.as_deref())? {
            Named::Model(document) => source::load(&document, Path::new("")),
            Named::Plan(_) => Err(Error::Usage("with a plan, give --data NAME=FILE.npy".to_owned())),
        };
        let document = source::data(&options.data, &read, again)?;
        data = Some((parse(document)?, PathBuf::new()));
    }
    Ok(Subject { model, data, told })
}

fn parse(document: Value) -> Result<Box<dyn RegisteredDataSource>, Error> {
    serde_json::from_value(document).map_err(|e| Error::Internal(e.to_string()))
}

fn record(
    model: &dyn Model,
    options: &InspectOptions,
    data: Option<&(Box<dyn RegisteredDataSource>, PathBuf)>,
    by_plan: Option<&StructureFile>,
    structure: &mut Option<(Structure, Vec<String>)>,
) -> Result<Arc<RecordedGraph>, Error> {
    let inputs = match data {
        Some((source, base)) => first(model, source.as_ref(), base)?,
        None => probe(model, options.text.as_deref())?,
    };
    let mut watched = Watched::new(model, Parity::Off)?;
    let graph = watched.discover(&inputs)?;
    let mut found = told(graph.as_ref(), Structure::of(graph.as_ref()), model, by_plan)?;
    let doubts = understanding::checked(graph.as_ref(), &mut found, &mut watched, &inputs);
    *structure = Some((found, doubts));
    Ok(graph)
}

/// What was found, corrected by the file beside the model and by a plan.
fn told(
    graph: &dyn Graph,
    mut found: Structure,
    model: &dyn Model,
    by_plan: Option<&StructureFile>,
) -> Result<Structure, Error> {
    understanding::corrected(graph, &mut found, &model.info().path, by_plan)?;
    Ok(found)
}

/// The inputs of the first batch.
fn first(model: &dyn Model, source: &dyn RegisteredDataSource, base: &Path) -> Result<NamedTensors, Error> {
    let inputs = model.inputs();
    let context = DataContext {
        base,
        tokenizer: model.tokenizer(),
        max_tokens: model.info().max_tokens,
        inputs: &inputs,
    };
    let first = source.open(&context)?.next_batch()?;
    first.map(|batch| batch.inputs).ok_or_else(|| Error::Usage("there is nothing in the data".to_owned()))
}

/// The inputs that a data source makes of one text; without a tokenizer, token ids that the model has.
fn probe(model: &dyn Model, text: Option<&str>) -> Result<NamedTensors, Error> {
    if text.is_none() && model.tokenizer().is_none() {
        if let Ok(inputs) = fmrai_torch::data::probe(&model.inputs()) {
            return Ok(inputs);
        }
        let inputs: Vec<String> = model.inputs().iter().map(ToString::to_string).collect();
        let inputs = inputs.join(", ");
        let advice = "give --data FILE (.safetensors or .npy), or --tokenizer FOLDER for a model of texts";
        return Err(Error::Usage(format!(
            "the model has to run to be inspected, and takes {inputs}: {advice}"
        )));
    }
    let text = text.unwrap_or(PROBE);
    let internal = |e: std::io::Error| Error::Internal(format!("the probe text: {e}"));
    let folder = tempfile::tempdir().map_err(internal)?;
    std::fs::write(folder.path().join("probe.txt"), text.replace(['\r', '\n'], " ")).map_err(internal)?;
    let source = parse(json!({ "type": "text", "path": "probe.txt" }))?;
    if text.trim().is_empty() {
        return Err(Error::Usage("--text has no tokens in it".to_owned()));
    }
    first(model, source.as_ref(), folder.path())
}
