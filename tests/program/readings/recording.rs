//! Passes of a decoder of the references, kept in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fmrai_core::analyzer::{Analyzer, ModelView};
use fmrai_core::batch::{Pair, PairRole, Sample, Vocabulary};
use fmrai_core::report::Report;
use fmrai_core::structure::Structure;
use fmrai_core::tensor::{TensorValue, from_safetensors};
use fmrai_core::testing::{MemoryActivations, Recorded, drive, padded_sample};
use fmrai_core::tracker::{BoxError, Tracker};
use fmrai_models::HfCheckpoint;
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::model::{LoadContext, LoadedWeights, ModelSource, NamedTensors};
use fmrai_torch::{Device, Tensor};

use crate::common::ROOT;

/// What the references of a model have.
pub(super) struct Expected(BTreeMap<String, TensorValue>);

impl Expected {
    pub(super) fn of(model: &str) -> Self {
        let file =
            Path::new(ROOT).join("tests/reference/experiments").join(model).join("expected.safetensors");
        Self(from_safetensors(&std::fs::read(file).unwrap()).unwrap().0.into_iter().collect())
    }

    pub(super) fn numbers(&self, name: &str) -> &[f64] {
        self.0[name].f64().unwrap()
    }

    /// Mean over the first axis.
    pub(super) fn mean(&self, name: &str) -> Vec<f64> {
        let count = self.0[name].shape()[0];
        let all = self.numbers(name);
        let size = all.len() / count;
        (0..size).map(|at| all.iter().skip(at).step_by(size).sum::<f64>() / count as f64).collect()
    }

    /// Lists of ids, filled up with -1.
    fn ids(&self, name: &str) -> Vec<Vec<u32>> {
        let value = &self.0[name];
        let rows = value.i64().unwrap().chunks(value.shape()[1]);
        rows.map(|row| row.iter().filter_map(|id| u32::try_from(*id).ok()).collect()).collect()
    }

    /// The texts without pairs.
    pub(super) fn texts(&self) -> Vec<Text> {
        self.ids("texts.ids").into_iter().map(|ids| Text { ids, pair: None }).collect()
    }

    /// Clean and corrupted texts in turn.
    pub(super) fn pairs(&self) -> Vec<Text> {
        let [clean, corrupted, right, wrong] =
            ["clean.ids", "corrupted.ids", "answer.ids", "wrong.ids"].map(|name| self.ids(name));
        let pair = |role, at: usize| Pair {
            role,
            right: right[at].clone(),
            wrong: wrong[at].clone(),
            marks: BTreeMap::new(),
        };
        let both = |at: usize| {
            [(PairRole::Clean, &clean[at]), (PairRole::Corrupted, &corrupted[at])]
                .map(|(role, ids)| Text { ids: ids.clone(), pair: Some(pair(role, at)) })
        };
        (0..clean.len()).flat_map(both).collect()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) ids: Vec<u32>,
    pub(super) pair: Option<Pair>,
}

/// A checkpoint of the references.
pub(super) fn decoder(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/reference/decoders").join(name)
}

/// All that analyzers ask for, of passes over texts, `size` in a batch, padded on one side or the other.
pub(super) fn record(
    model: &Path,
    texts: &[Text],
    size: usize,
    left: bool,
    makes: &[&dyn Fn() -> Box<dyn Analyzer>],
) -> Recorded {
    let context = LoadContext::new(Path::new("."), Device::Cpu);
    let model = HfCheckpoint::new(model).load(&context).unwrap();
    let mut tracker = DispatchTracker::new().unwrap();
    for (name, tensor) in model.parameters() {
        tracker.name_parameter(&name, &tensor);
    }
    let batches: Vec<(Vec<Sample>, NamedTensors)> =
        texts.chunks(size).enumerate().map(|(at, texts)| batch(texts, at * size, left)).collect();
    let mut graph = None;
    let mut request = None;
    let mut weights = None;
    let mut kept = Vec::new();
    for (samples, inputs) in batches {
        for (name, tensor) in &inputs.0 {
            tracker.name_input(name, tensor);
        }
        let mut forward = || -> Result<(), BoxError> {
            model.forward(&inputs)?;
            Ok(())
        };
        let graph = graph.get_or_insert_with(|| tracker.discover(&mut forward).unwrap());
        let request = request.get_or_insert_with(|| {
            let structure = Structure::of(graph.as_ref());
            let own = Arc::new(LoadedWeights::of(model.as_ref(), graph.as_ref()));
            let own: Arc<dyn fmrai_core::analyzer::Weights> = own;
            let view = ModelView {
                graph: graph.as_ref(),
                structure: &structure,
                vocabulary: None,
                weights: Some(&own),
            };
            let all = makes.iter().map(|make| make().prepare(&view).unwrap());
            let all = all.reduce(|a, b| a.union(&b)).unwrap();
            weights = Some(own.clone());
            all
        });
        let tensors = tracker.track(request, &mut forward).unwrap();
        let kept_of = |all: MemoryActivations, id| {
            let view = tensors.tensor(id).unwrap().unwrap();
            all.with_f32(id, view.shape(), view.f32().unwrap().to_vec()).unwrap()
        };
        kept.push((samples, request.tensors().fold(MemoryActivations::new(), kept_of)));
    }
    Recorded::of(graph.unwrap().as_ref().clone(), kept)
        .with_weights(weights.unwrap())
        .with_vocabulary(vocabulary())
}

/// A vocabulary of numbers.
fn vocabulary() -> Vocabulary {
    Vocabulary { tokens: (0..300).map(|id| format!("t{id}")).collect(), ..Vocabulary::default() }
}

fn batch(texts: &[Text], first: usize, left: bool) -> (Vec<Sample>, NamedTensors) {
    let longest = texts.iter().map(|text| text.ids.len()).max().unwrap();
    let (mut ids, mut mask, mut samples) = (Vec::new(), Vec::new(), Vec::new());
    for (at, text) in texts.iter().enumerate() {
        let more = longest - text.ids.len();
        let before = if left { more } else { 0 };
        let row = |fill: i64, own: Vec<i64>| [vec![fill; before], own, vec![fill; more - before]].concat();
        ids.extend(row(0, text.ids.iter().map(|id| i64::from(*id)).collect()));
        mask.extend(row(0, vec![1; text.ids.len()]));
        samples.push(Sample {
            pair: text.pair.clone(),
            ..padded_sample((first + at) as u64, &text.ids, before)
        });
    }
    let shape = [texts.len() as i64, longest as i64];
    let tensor = |data: &[i64]| Tensor::from_slice(data).unwrap().reshape(&shape).unwrap();
    let inputs = vec![("input_ids".to_owned(), tensor(&ids)), ("attention_mask".to_owned(), tensor(&mask))];
    (samples, NamedTensors(inputs))
}

/// The report of an analyzer over a recording.
pub(super) fn report(recorded: &Recorded, mut analyzer: Box<dyn Analyzer>) -> Report {
    drive(analyzer.as_mut(), recorded).unwrap()
}

/// Numbers of a report.
pub(super) fn numbers<'a>(report: &'a Report, name: &str) -> &'a [f64] {
    let found = report.tensors.iter().find(|tensor| tensor.name == name);
    found.unwrap_or_else(|| panic!("no {name}")).value.f64().unwrap()
}

/// The largest difference; both have to be of one length and finite.
pub(super) fn distance(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found
        .iter()
        .zip(expected)
        .map(|(a, b)| if a.is_nan() || b.is_nan() { f64::INFINITY } else { (a - b).abs() })
        .fold(0.0, f64::max)
}
