//! `fmrai inspect`.

mod graph;
mod model;
mod modules;
pub(crate) mod pages;
mod select;
mod structure;

use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;

use fmrai_core::graph::{DotOptions, Graph, RecordedGraph, Summary, summary, to_dot, to_json};
use fmrai_core::selector::Selector;
use fmrai_core::structure::{Structure, StructureFile, opaque_operations};
use fmrai_torch::data::{DataContext, DataSource, GivenTexts, RegisteredDataSource};
use fmrai_torch::model::{Model, NamedTensors};

use super::source::{self, DataOptions, Subject, subject};
use crate::error::{Error, Exit};
use crate::plan::Parity;
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
pub(crate) fn inspect(options: &InspectOptions) -> Result<Exit, Error> {
    let select: Vec<Selector> = options.select.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let inspected = inspected(options)?;
    let (model, by_plan) = (inspected.model.as_ref(), inspected.told.as_ref());
    let known = if inspected.data.is_none() { model.graph() } else { None };
    let mut structure = None;
    let (graph, how) = match known {
        Some(Ok(graph)) => (graph, "known without running it"),
        Some(Err(why)) => {
            let graph = record(&inspected, &mut structure).map_err(|error| match error {
                Error::Usage(advice) => Error::Usage(format!("{why}; {advice}")),
                other => other,
            });
            (graph?, "recorded in one run, since it depends on the data")
        }
        None => (record(&inspected, &mut structure)?, "recorded in one run"),
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

/// A model, and the data that it is to run on.
struct Inspected {
    model: Box<dyn Model>,
    data: Option<Box<dyn RegisteredDataSource>>,
    /// Folder that paths of the data start from.
    base: PathBuf,
    /// What a plan says of the structure.
    told: Option<StructureFile>,
}

fn inspected(options: &InspectOptions) -> Result<Inspected, Error> {
    let again = || subject(&options.model, options.tokenizer.as_deref());
    let of_plan = again()?;
    let model = of_plan.load()?;
    let Subject { data: planned, structure: told, base, .. } = of_plan;
    let given = match (&options.text, options.data.is_empty()) {
        (Some(text), _) => Some(source::texts(slice::from_ref(text), &DataOptions::default())?),
        (None, true) => None,
        (None, false) => {
            let read =
                DataOptions { field: options.field.clone(), batch_size: Some(1), ..DataOptions::default() };
            Some(source::data(&options.data, &read, || again()?.load())?)
        }
    };
    // A plan's own data are used only where the model takes no text: a short one takes less time.
    let known = matches!(model.graph(), Some(Ok(_)));
    let planned = planned.filter(|_| model.tokenizer().is_none() && !known);
    Ok(Inspected { model, data: given.or(planned), base, told })
}

fn record(
    inspected: &Inspected,
    structure: &mut Option<(Structure, Vec<String>)>,
) -> Result<Arc<RecordedGraph>, Error> {
    let Inspected { model, data, base, told: by_plan } = inspected;
    let inputs = match data {
        Some(source) => first(model.as_ref(), source.as_ref(), base)?,
        None => probe(model.as_ref())?,
    };
    let mut watched = Watched::new(model.as_ref(), Parity::Off)?;
    let graph = watched.discover(&inputs)?;
    let mut found = told(graph.as_ref(), Structure::of(graph.as_ref()), model.as_ref(), by_plan.as_ref())?;
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
fn first(model: &dyn Model, source: &dyn DataSource, base: &Path) -> Result<NamedTensors, Error> {
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

/// The inputs that a model makes of one text; without a tokenizer, token ids that it has.
fn probe(model: &dyn Model) -> Result<NamedTensors, Error> {
    if model.tokenizer().is_some() {
        let text = GivenTexts::new(vec![PROBE.to_owned()]);
        return first(model, &text, Path::new(""));
    }
    fmrai_torch::data::probe(&model.inputs()).map_err(|_| {
        let inputs: Vec<String> = model.inputs().iter().map(ToString::to_string).collect();
        let inputs = inputs.join(", ");
        let advice = "give --data FILE (.safetensors or .npy), or --tokenizer FOLDER for a model of texts";
        Error::Usage(format!("the model has to run to be inspected, and takes {inputs}: {advice}"))
    })
}
