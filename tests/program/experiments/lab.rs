//! A live model and its bench, for laws about states.

use std::path::Path;
use std::sync::Arc;

use fmrai_core::analyzer::{ModelView, State, Weights};
use fmrai_core::batch::{Batch, Pair, PairRole, Sample};
use fmrai_core::experiment::Experiment;
use fmrai_core::report::Report;
use fmrai_core::structure::Structure;
use fmrai_core::testing::padded_sample;
use fmrai_core::tracker::{BoxError, Tracker};
use fmrai_models::HfCheckpoint;
use fmrai_torch::bench::{BenchInputs, BenchSettings, ModelBench};
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::model::{LoadContext, LoadedWeights, Model, ModelSource, NamedTensors};
use fmrai_torch::{Device, Tensor};

use super::program::expected;
use crate::common::ROOT;

/// The texts of the references of a model, or its pairs.
pub(super) fn samples(model: &str, pairs: bool) -> Vec<Sample> {
    let all = expected(model);
    let ids = |name: &str| -> Vec<Vec<u32>> {
        let rows = all[name].i64().unwrap().chunks(all[name].shape()[1]);
        rows.map(|row| row.iter().filter_map(|id| u32::try_from(*id).ok()).collect()).collect()
    };
    if !pairs {
        let each = |(id, ids): (u64, Vec<u32>)| padded_sample(id, &ids, 0);
        return (0..).zip(ids("texts.ids")).map(each).collect();
    }
    let [clean, corrupted, right, wrong] = ["clean.ids", "corrupted.ids", "answer.ids", "wrong.ids"].map(ids);
    let both = |at: usize| {
        [(PairRole::Clean, &clean[at]), (PairRole::Corrupted, &corrupted[at])].map(|(role, ids)| {
            let marks = [("subject".to_owned(), 1..3)].into();
            let pair = Pair { role, right: right[at].clone(), wrong: wrong[at].clone(), marks };
            let id = 2 * at + usize::from(role == PairRole::Corrupted);
            Sample { pair: Some(pair), ..padded_sample(id as u64, ids, 0) }
        })
    };
    (0..clean.len()).flat_map(both).collect()
}

fn batch(samples: &[Sample]) -> NamedTensors {
    let longest = samples.iter().map(|sample| sample.token_ids.len()).max().unwrap();
    let (mut ids, mut mask) = (Vec::new(), Vec::new());
    for sample in samples {
        let more = vec![0; longest - sample.token_ids.len()];
        ids.extend(sample.token_ids.iter().map(|id| i64::from(*id)).chain(more.iter().copied()));
        mask.extend(vec![1; sample.token_ids.len()].into_iter().chain(more));
    }
    let shape = [samples.len() as i64, longest as i64];
    let tensor = |data: &[i64]| Tensor::from_slice(data).unwrap().reshape(&shape).unwrap();
    NamedTensors(vec![("input_ids".to_owned(), tensor(&ids)), ("attention_mask".to_owned(), tensor(&mask))])
}

/// The logits `[row, position, token]` of texts, and how many positions and tokens there are.
pub(super) fn logits(model: &str, samples: &[Sample]) -> (Vec<f32>, usize, usize) {
    let outputs = load(model).forward(&batch(samples)).unwrap();
    let shape = outputs.0[0].1.shape();
    (outputs.0[0].1.to_vec().unwrap(), shape[1], shape[2])
}

pub(super) fn load(model: &str) -> Box<dyn Model> {
    let path = Path::new(ROOT).join("tests/reference/decoders").join(model);
    HfCheckpoint::new(path).load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap()
}

/// Shows batches of texts to experiments, each to the one that `to` says by the number of the batch.
pub(super) fn show(
    model: &str,
    batches: &[&[Sample]],
    experiments: &mut [Box<dyn Experiment>],
    to: &dyn Fn(usize) -> usize,
) {
    show_after(model, batches, experiments, to, None);
}

/// The same with experiments that go on from a state, such as that at the end of a sweep.
pub(super) fn show_after(
    model: &str,
    batches: &[&[Sample]],
    experiments: &mut [Box<dyn Experiment>],
    to: &dyn Fn(usize) -> usize,
    after: Option<&State>,
) {
    let model = load(model);
    let mut tracker = DispatchTracker::new().unwrap();
    for (name, tensor) in model.parameters() {
        tracker.name_parameter(&name, &tensor);
    }
    let mut graph = None;
    let mut request = None;
    for (at, samples) in batches.iter().enumerate() {
        let inputs = batch(samples);
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
            let weights: Arc<dyn Weights> = Arc::new(LoadedWeights::of(model.as_ref(), graph.as_ref()));
            let view = ModelView {
                graph: graph.as_ref(),
                structure: &structure,
                vocabulary: None,
                weights: Some(&weights),
            };
            let all = experiments.iter_mut().map(|experiment| {
                let request = experiment.prepare(&view).unwrap();
                after.iter().for_each(|state| experiment.merge(state).unwrap());
                request
            });
            all.reduce(|a, b| a.union(&b)).unwrap()
        });
        let kept = tracker.track(request, &mut forward).unwrap();
        let rows = BenchInputs { inputs: &inputs, whole: &[], rows: samples.len() };
        let mut bench = ModelBench::new(model.as_ref(), &tracker, rows, BenchSettings::default()).unwrap();
        let shown = Batch::new(at as u64, samples, kept.as_ref());
        experiments[to(at)].run_batch(&shown, &mut bench).unwrap();
    }
}

/// The merge law: what two have seen of the data, merged either way, is what one has seen, however the data are batched.
pub(super) fn merged(
    model: &str,
    samples: &[Sample],
    size: usize,
    make: &dyn Fn() -> Box<dyn Experiment>,
) -> [Report; 3] {
    let batches: Vec<&[Sample]> = samples.chunks(size).collect();
    let mut all = vec![make(), make(), make(), make()];
    show(model, &batches, &mut all, &|batch| 1 + usize::from(batch % 3 == 0));
    let states = [all[1].state().unwrap(), all[2].state().unwrap()];
    all[1].merge(&states[1]).unwrap();
    // A state that was stored, merged into a fresh one.
    let bytes = states[0].to_bytes().unwrap();
    all[3].merge(&State::from_bytes(&bytes).unwrap()).unwrap();
    let again = all[3].state().unwrap();
    assert_eq!(format!("{again:?}"), format!("{:?}", states[0]));
    all[2].merge(&again).unwrap();
    let mut whole = vec![make()];
    let one_by_one: Vec<&[Sample]> = samples.chunks(2).collect();
    show(model, &one_by_one, &mut whole, &|_| 0);
    [all[1].analyze().unwrap(), all[2].analyze().unwrap(), whole[0].analyze().unwrap()]
}

/// The merge law of an experiment that goes through the data twice: as [`merged`], within each sweep.
pub(super) fn merged_twice(
    model: &str,
    samples: &[Sample],
    size: usize,
    make: &dyn Fn() -> Box<dyn Experiment>,
) -> [Report; 3] {
    let batches: Vec<&[Sample]> = samples.chunks(size).collect();
    let stored = |state: &State| State::from_bytes(&state.to_bytes().unwrap()).unwrap();
    let both = |after: Option<&State>| {
        let mut all = vec![make(), make()];
        show_after(model, &batches, &mut all, &|batch| usize::from(batch % 3 == 0), after);
        all
    };
    let mut first = both(None);
    let other = first[1].state().unwrap();
    first[0].merge(&stored(&other)).unwrap();
    first[0].next_sweep().unwrap();
    let after = stored(&first[0].state().unwrap());
    let mut second = both(Some(&after));
    let states = [second[0].state().unwrap(), second[1].state().unwrap()];
    // What is in another sweep, or has found something else in the one before, is no part of the same data.
    assert!(second[0].merge(&other).is_err());
    second[0].merge(&stored(&states[1])).unwrap();
    second[1].merge(&stored(&states[0])).unwrap();
    let one_by_one: Vec<&[Sample]> = samples.chunks(2).collect();
    let mut whole = vec![make()];
    show(model, &one_by_one, &mut whole, &|_| 0);
    whole[0].next_sweep().unwrap();
    let after = whole[0].state().unwrap();
    show_after(model, &one_by_one, &mut whole, &|_| 0, Some(&after));
    [second[0].analyze().unwrap(), second[1].analyze().unwrap(), whole[0].analyze().unwrap()]
}

/// The largest difference between tensors of reports, which have to be the same ones.
pub(super) fn difference(one: &Report, other: &Report) -> f64 {
    assert_eq!(one.tensors.len(), other.tensors.len());
    let each = one.tensors.iter().zip(&other.tensors).map(|(a, b)| {
        assert_eq!((&a.name, &a.axes, a.value.shape()), (&b.name, &b.axes, b.value.shape()));
        match (a.value.f64(), b.value.f64()) {
            (Ok(a), Ok(b)) => super::program::distance(a, b),
            _ => f64::from(u8::from(a.value != b.value)),
        }
    });
    each.fold(0.0, f64::max)
}
