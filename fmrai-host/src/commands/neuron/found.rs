//! Where a neuron is strongest in texts.

use std::path::Path;
use std::sync::Arc;

use fmrai_core::graph::RecordedGraph;
use fmrai_core::selector::{Selector, UnitKind, select};
use fmrai_core::structure::{Structure, StructureFile};
use fmrai_core::tracker::CaptureRequest;
use fmrai_torch::data::{DataContext, RegisteredDataSource};
use fmrai_torch::model::Model;
use serde::Serialize;

use crate::error::Error;
use crate::plan::Parity;
use crate::run::{Watched, understanding};
use crate::terminal;

/// What was seen of a neuron.
pub(super) struct Found {
    pub(super) graph: Arc<RecordedGraph>,
    pub(super) structure: Structure,
    pub(super) layer: usize,
    pub(super) neuron: usize,
    /// The strongest texts, by the position at which each is strongest.
    pub(super) triggers: Vec<Trigger>,
    pub(super) texts: u64,
}

/// A text that a neuron answers to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Trigger {
    /// The neuron's largest coefficient in the text.
    pub(super) coefficient: f32,
    /// The text, from 0 in the order of the data.
    pub(super) text: u64,
    /// The token at which it is, from 0.
    pub(super) position: usize,
    /// The tokens of the text.
    pub(super) tokens: Vec<u32>,
}

/// Runs the model on all texts, each pass up to the neuron alone; paths of the data start from the folder beside them.
pub(super) fn of(
    model: &dyn Model,
    (data, base): (&dyn RegisteredDataSource, &Path),
    name: &str,
    top: usize,
    told: Option<&StructureFile>,
) -> Result<Found, Error> {
    let selector: Selector = name.parse()?;
    let (layer, neuron) = match &selector {
        Selector::Unit(unit) if unit.kind() == UnitKind::Neuron && unit.part().is_none() => unit.place(),
        _ => return Err(Error::Usage(format!("{name}: a neuron is named like L3N17"))),
    };
    let inputs = model.inputs();
    let context = DataContext {
        base,
        tokenizer: model.tokenizer(),
        max_tokens: model.info().max_tokens,
        inputs: &inputs,
    };
    let mut batches = data.open(&context)?;
    let first = batches.next_batch()?;
    let first = first.ok_or_else(|| Error::Usage("there is nothing in the data".to_owned()))?;
    let mut watched = Watched::new(model, Parity::Off)?;
    let graph = watched.discover(&first.inputs)?;
    let mut structure = Structure::of(graph.as_ref());
    understanding::corrected(graph.as_ref(), &mut structure, &model.info().path, told)?;
    let selected = select(graph.as_ref(), &structure, &[selector])?;
    let Some((tensor, slice)) = selected.into_iter().find_map(|one| Some((one.tensor, one.slice?))) else {
        return Err(Error::Internal(format!("{name} is no part of a tensor")));
    };
    let request = CaptureRequest::from_iter([tensor]);
    let mut triggers: Vec<Trigger> = Vec::new();
    let (mut texts, mut next) = (0, Some(first));
    while let Some(batch) = next {
        let kept = watched.pass(&batch.inputs, &request)?;
        let odd = |what: String| Error::Usage(format!("{name}: {what}"));
        let whole = kept.tensor(tensor).ok_or_else(|| odd("it was not handed out".to_owned()))?;
        let whole = whole.map_err(|error| odd(error.to_string()))?;
        let part = slice.of(&whole).ok_or_else(|| odd("its place in the tensor is not known".to_owned()))?;
        let view = part.view().map_err(|error| odd(error.to_string()))?;
        let rows = batch.samples.len() + batch.filler;
        let values = view.f32().map_err(|error| odd(error.to_string()))?;
        let width = values.len().checked_div(rows).unwrap_or(0);
        if width * rows != values.len() || view.shape().first().is_none_or(|first| first % rows != 0) {
            return Err(odd(format!("its activation is {:?}, needed [batch, token]", view.shape())));
        }
        for (row, sample) in batch.samples.iter().enumerate() {
            let of_row = values.get(row * width..(row + 1) * width).unwrap_or_default();
            let own = of_row.get(sample.span.clone()).unwrap_or_default();
            let largest = own.iter().copied().enumerate().filter(|(_, value)| !value.is_nan());
            let largest = largest.reduce(|most, one| if one.1 > most.1 { one } else { most });
            if let Some((position, coefficient)) = largest {
                let tokens = sample.token_ids.clone();
                triggers.push(Trigger { coefficient, text: sample.id, position, tokens });
            }
        }
        triggers.sort_by(|one, other| {
            other.coefficient.total_cmp(&one.coefficient).then(one.text.cmp(&other.text))
        });
        triggers.truncate(top);
        texts += batch.samples.len() as u64;
        terminal::progress(&format!("{texts} texts"));
        next = batches.next_batch()?;
    }
    terminal::progress("");
    Ok(Found { graph, structure, layer, neuron, triggers, texts })
}
