//! The contract of analyzers as laws that can be tried: what `docs/analyzer-contract.md` says an analyzer must do.
//!
//! Each law drives fresh analyzers over recorded batches. A panic in an analyzer that is linked goes through to the
//! caller; that of a loaded one is a broken law.

use std::thread;

use super::compare::differences;
use super::{MemoryActivations, Recorded, empty_graph};
use crate::analyzer::{Analyzer, AnalyzerError, ModelView, State};
use crate::batch::Batch;
use crate::graph::TensorId;
use crate::report::Report;
use crate::structure::Structure;
use crate::tensor::{DataView, TensorData, TensorValue, TensorView};
use crate::tolerance::Tolerance;
use crate::tracker::{Activations, CaptureRequest};

/// Makes a new analyzer of one config, or says why it cannot.
pub type Make<'a> = dyn Fn() -> Result<Box<dyn Analyzer>, String> + Sync + 'a;

/// How binding a law is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// An analyzer that breaks it gives wrong results or takes the run down.
    Must,
    /// An analyzer that breaks it surprises its users.
    Should,
}

/// A part of the contract that can be tried.
#[derive(Clone, Copy)]
pub struct Law {
    /// What it is called, in a word or two.
    pub name: &'static str,
    /// How binding it is.
    pub duty: Duty,
    /// What it says.
    pub promise: &'static str,
    check: fn(&Trial<'_>) -> Result<(), String>,
}

impl Law {
    /// Tries the law.
    ///
    /// # Errors
    /// A sentence that says how it is broken.
    pub fn check(&self, make: &Make<'_>, recorded: &Recorded) -> Result<(), String> {
        (self.check)(&Trial { make, recorded, batches: recorded.batches().collect() })
    }
}

/// All laws, in the order in which they are best read.
pub const LAWS: &[Law] = &[
    law("run", Duty::Must, "goes through the recorded batches and reports", run),
    law("request", Duty::Must, "asks for tensors of the graph", request),
    law("determinism", Duty::Must, "the same batches give the same state and the same report", determinism),
    law("merge", Duty::Must, "states of two parts merge into what one pass gives", merge),
    law(
        "resume",
        Duty::Must,
        "a new analyzer that absorbs a state goes on as the old one would have",
        resume,
    ),
    law("order", Duty::Must, "the order of the batches does not matter", order),
    law("analyze", Duty::Must, "reporting changes nothing and can be done again", analyze_again),
    law("refused state", Duty::Must, "a state that it refuses leaves it as it was", refused_state),
    law("refused batch", Duty::Must, "a batch that it refuses leaves it as it was", refused_batch),
    law("not a number", Duty::Must, "NaN in a tensor does not make it panic", not_a_number),
    law("nothing seen", Duty::Must, "reporting before the first batch does not make it panic", nothing_seen),
    law(
        "another model",
        Duty::Must,
        "a model without the blocks it needs does not make it panic",
        another_model,
    ),
    law("inputs", Duty::Must, "writes to nothing that it is shown", inputs),
    law("threads", Duty::Must, "two of them at once, and one that changes threads, do as one alone", threads),
    law("exact resume", Duty::Should, "a resumed run gives the same bits", exact_resume),
    law("text", Duty::Should, "says why it fails in one line of plain text", one_line),
];

const fn law(
    name: &'static str,
    duty: Duty,
    promise: &'static str,
    check: fn(&Trial<'_>) -> Result<(), String>,
) -> Law {
    Law { name, duty, promise, check }
}

/// Tries every law of the contract on an analyzer: the one line that its tests need.
///
/// # Errors
/// Every broken law with a sentence, one in a line.
pub fn check_contract(make: &Make<'_>, recorded: &Recorded) -> Result<(), String> {
    let broken: Vec<String> = LAWS
        .iter()
        .filter_map(|law| law.check(make, recorded).err().map(|what| format!("{}: {what}", law.name)))
        .collect();
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
}

struct Trial<'a> {
    make: &'a Make<'a>,
    recorded: &'a Recorded,
    batches: Vec<Batch<'a>>,
}

type Prepared = (Box<dyn Analyzer>, CaptureRequest);

fn said(doing: &str) -> impl Fn(AnalyzerError) -> String + '_ {
    move |error| format!("{doing} fails: {error}")
}

/// A refusal is fine, a panic is not.
fn no_panic<T>(doing: &str, outcome: Result<T, AnalyzerError>) -> Result<Option<T>, String> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(AnalyzerError::Panicked(message)) => Err(format!("{doing}: {message}")),
        Err(_) => Ok(None),
    }
}

impl<'a> Trial<'a> {
    fn prepared(&self) -> Result<Prepared, String> {
        let mut analyzer = (self.make)()?;
        let request = analyzer.prepare(&self.recorded.model()).map_err(said("prepare"))?;
        Ok((analyzer, request))
    }

    fn after<'b>(&self, batches: impl IntoIterator<Item = &'b Batch<'a>>) -> Result<Box<dyn Analyzer>, String>
    where
        'a: 'b,
    {
        let (mut analyzer, _) = self.prepared()?;
        batches.into_iter().try_for_each(|batch| analyzer.track_batch(batch)).map_err(said("track_batch"))?;
        Ok(analyzer)
    }

    fn whole(&self) -> Result<Box<dyn Analyzer>, String> {
        self.after(&self.batches)
    }

    /// Where the recording can be parted.
    fn cuts(&self) -> impl Iterator<Item = (&[Batch<'a>], &[Batch<'a>])> {
        (0..=self.batches.len()).map(|at| self.batches.split_at(at))
    }
}

fn state(analyzer: &dyn Analyzer) -> Result<State, String> {
    analyzer.state().map_err(said("state"))
}

fn report(analyzer: &dyn Analyzer) -> Result<Report, String> {
    analyzer.analyze().map_err(said("analyze"))
}

fn alike(what: &str, found: &Report, expected: &Report, tolerance: &Tolerance) -> Result<(), String> {
    differences(found, expected, tolerance).map_or(Ok(()), |place| Err(format!("{what}: {place}")))
}

/// No difference at all, NaN included.
const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0 };

fn run(trial: &Trial<'_>) -> Result<(), String> {
    report(trial.whole()?.as_ref()).map(|_| ())
}

fn request(trial: &Trial<'_>) -> Result<(), String> {
    let (_, request) = trial.prepared()?;
    let known = trial.recorded.model().graph.tensors().len();
    match request.tensors().find(|id| id.0 as usize >= known) {
        Some(unknown) => Err(format!("asks for {unknown}, the graph has {known} tensors, from #0 on")),
        None => Ok(()),
    }
}

fn determinism(trial: &Trial<'_>) -> Result<(), String> {
    let (one, two) = (trial.whole()?, trial.whole()?);
    if state(one.as_ref())? != state(two.as_ref())? {
        return Err("two passes over the same batches give different states".to_owned());
    }
    alike("two passes", &report(two.as_ref())?, &report(one.as_ref())?, &EXACT)
}

fn merge(trial: &Trial<'_>) -> Result<(), String> {
    let expected = report(trial.whole()?.as_ref())?;
    for (first, second) in trial.cuts() {
        let parts = format!("{} and {} batches merged against one pass", first.len(), second.len());
        let (mut one, mut two) = (trial.after(first)?, trial.after(second)?);
        let (state_one, state_two) = (state(one.as_ref())?, state(two.as_ref())?);
        one.merge(&state_two).map_err(said("merge"))?;
        alike(&parts, &report(one.as_ref())?, &expected, &Tolerance::STATISTIC)?;
        two.merge(&state_one).map_err(said("merge"))?;
        alike(
            &format!("{parts}, the other way round"),
            &report(two.as_ref())?,
            &expected,
            &Tolerance::STATISTIC,
        )?;
    }
    // Each batch on its own, merged from the last to the first: not one after the other, as a run does.
    let mut states = Vec::new();
    for batch in trial.batches.iter().rev() {
        states.push(state(trial.after([batch])?.as_ref())?);
    }
    let (mut all, _) = trial.prepared()?;
    states.iter().try_for_each(|state| all.merge(state)).map_err(said("merge"))?;
    alike("one state of each batch merged", &report(all.as_ref())?, &expected, &Tolerance::STATISTIC)
}

fn resumed(trial: &Trial<'_>, tolerance: &Tolerance) -> Result<(), String> {
    let expected = report(trial.whole()?.as_ref())?;
    for (first, second) in trial.cuts() {
        let stored = state(trial.after(first)?.as_ref())?.to_bytes().map_err(|e| e.to_string())?;
        let stored = State::from_bytes(&stored).map_err(|e| e.to_string())?;
        let (mut analyzer, _) = trial.prepared()?;
        analyzer.merge(&stored).map_err(said("merge"))?;
        second.iter().try_for_each(|batch| analyzer.track_batch(batch)).map_err(said("track_batch"))?;
        let what = format!("resumed after {} of {} batches", first.len(), trial.batches.len());
        alike(&what, &report(analyzer.as_ref())?, &expected, tolerance)?;
    }
    Ok(())
}

fn resume(trial: &Trial<'_>) -> Result<(), String> {
    resumed(trial, &Tolerance::STATISTIC)
}

fn exact_resume(trial: &Trial<'_>) -> Result<(), String> {
    resumed(trial, &EXACT)
}

fn order(trial: &Trial<'_>) -> Result<(), String> {
    let expected = report(trial.whole()?.as_ref())?;
    let backwards = report(trial.after(trial.batches.iter().rev())?.as_ref())?;
    alike("the batches backwards", &backwards, &expected, &Tolerance::STATISTIC)
}

fn analyze_again(trial: &Trial<'_>) -> Result<(), String> {
    let analyzer = trial.whole()?;
    let before = state(analyzer.as_ref())?;
    // An error of it is no breach: it may have nothing to say yet.
    no_panic("interim", analyzer.interim())?;
    if state(analyzer.as_ref())? != before {
        return Err("interim changes the state".to_owned());
    }
    let first = report(analyzer.as_ref())?;
    if state(analyzer.as_ref())? != before {
        return Err("analyze changes the state".to_owned());
    }
    alike("the second report", &report(analyzer.as_ref())?, &first, &EXACT)
}

/// `merge` refuses `state` and changes nothing, or takes it.
fn refuses(analyzer: &mut dyn Analyzer, wrong: &State, what: &str) -> Result<bool, String> {
    let before = state(analyzer)?;
    let refused = no_panic(&format!("merge of {what}"), analyzer.merge(wrong))?.is_none();
    if refused && state(analyzer)? != before {
        return Err(format!("merge refuses {what}, but the state is another one afterwards"));
    }
    Ok(refused)
}

fn refused_state(trial: &Trial<'_>) -> Result<(), String> {
    let good = state(trial.whole()?.as_ref())?;
    let mut foreign = good.clone();
    foreign.analyzer.push_str("_of_somebody_else");
    let mut newer = good.clone();
    newer.version = newer.version.wrapping_add(1);
    for (wrong, what) in [(foreign, "a state of another analyzer"), (newer, "a state of another version")] {
        if !refuses(trial.whole()?.as_mut(), &wrong, what)? {
            return Err(format!("merge takes {what}"));
        }
    }
    let mut bare = good.clone();
    bare.document = serde_json::Value::Null;
    refuses(trial.whole()?.as_mut(), &bare, "a state without its document")?;
    for name in good.tensors.keys() {
        let mut less = good.clone();
        less.tensors.remove(name);
        let what = format!("a state without its tensor {name:?}");
        if !refuses(trial.whole()?.as_mut(), &less, &what)? {
            return Err(format!("merge takes {what}"));
        }
        let mut short = good.clone();
        if let Ok(value) = TensorValue::new([0], TensorData::F64(Vec::new())) {
            short.tensors.insert(name.clone(), value);
        }
        refuses(trial.whole()?.as_mut(), &short, &format!("a state whose tensor {name:?} is empty"))?;
    }
    Ok(())
}

/// Nothing was kept.
struct Nothing;

impl Activations for Nothing {
    fn tensor(&self, _: TensorId) -> Option<Result<TensorView<'_>, crate::tensor::TensorError>> {
        None
    }
}

/// A host may leave out a batch that fails and go on with the next, so a failed batch must leave no trace.
fn refused_batch(trial: &Trial<'_>) -> Result<(), String> {
    let Some(first) = trial.batches.first() else { return Ok(()) };
    let (mut analyzer, request) = trial.prepared()?;
    analyzer.track_batch(first).map_err(said("track_batch"))?;
    let before = state(analyzer.as_ref())?;
    let one = |data| TensorValue::new([1], data).map_err(|e| e.to_string());
    let (mut small, mut other) = (MemoryActivations::new(), MemoryActivations::new());
    for id in request.tensors() {
        small = small.with(id, one(TensorData::F32(vec![1.0]))?);
        other = other.with(id, one(TensorData::I64(vec![1]))?);
    }
    // All is well but for the last: what was absorbed of the others has to be forgotten.
    let mut last = copies(first, &request, |x| x)?;
    if let Some(id) = request.tensors().last() {
        last = last.with(id, one(TensorData::F32(vec![1.0]))?);
    }
    let cases: [(&dyn Activations, &str); 4] = [
        (&Nothing, "a batch without its tensors"),
        (&last, "a batch whose last tensor has one element"),
        (&small, "a batch whose tensors have one element"),
        (&other, "a batch of int64"),
    ];
    for (activations, what) in cases {
        let batch = Batch::new(first.index() + 1, first.samples(), activations);
        let outcome = no_panic(&format!("track_batch of {what}"), analyzer.track_batch(&batch))?;
        if outcome.is_some() && request.tensors().len() > 0 {
            return Err(format!("track_batch takes {what}"));
        }
        if outcome.is_none() && state(analyzer.as_ref())? != before {
            return Err(format!("track_batch refuses {what}, but the state is another one afterwards"));
        }
    }
    Ok(())
}

/// The tensors of a batch as own copies; those of other types than copies can have are left out.
fn copies(
    batch: &Batch<'_>,
    request: &CaptureRequest,
    change: impl Fn(f32) -> f32,
) -> Result<MemoryActivations, String> {
    let mut copies = MemoryActivations::new();
    for id in request.tensors() {
        let Ok(view) = batch.tensor(id) else { continue };
        let data = match view.data() {
            DataView::F32(d) => TensorData::F32(d.iter().map(|x| change(*x)).collect()),
            DataView::F64(d) => TensorData::F64(d.to_vec()),
            DataView::I64(d) => TensorData::I64(d.to_vec()),
            DataView::I32(_) | DataView::U8(_) => continue,
        };
        copies = copies.with(id, TensorValue::new(view.shape(), data).map_err(|e| e.to_string())?);
    }
    Ok(copies)
}

fn not_a_number(trial: &Trial<'_>) -> Result<(), String> {
    for bad in [f32::NAN, f32::INFINITY, f32::MAX] {
        let (mut analyzer, request) = trial.prepared()?;
        for batch in &trial.batches {
            let spoiled = copies(batch, &request, |_| bad)?;
            let batch = Batch::new(batch.index(), batch.samples(), &spoiled);
            no_panic(&format!("track_batch of tensors that are all {bad}"), analyzer.track_batch(&batch))?;
        }
        no_panic(&format!("analyze after tensors that are all {bad}"), analyzer.analyze())?;
    }
    Ok(())
}

fn nothing_seen(trial: &Trial<'_>) -> Result<(), String> {
    let (analyzer, _) = trial.prepared()?;
    no_panic("analyze before the first batch", analyzer.analyze())?;
    state(analyzer.as_ref()).map(|_| ())
}

fn another_model(trial: &Trial<'_>) -> Result<(), String> {
    let graph = empty_graph().map_err(|e| e.to_string())?;
    let nothing = Structure::default();
    let model = ModelView { graph: &graph, structure: &nothing, vocabulary: None, weights: None };
    no_panic("prepare of a model without operations", (trial.make)()?.prepare(&model))?;
    let model = ModelView { vocabulary: None, ..trial.recorded.model() };
    no_panic("prepare of a model without vocabulary", (trial.make)()?.prepare(&model))?;
    let model = ModelView { structure: &nothing, ..trial.recorded.model() };
    no_panic("prepare of a model in which no block was found", (trial.make)()?.prepare(&model))?;
    Ok(())
}

fn inputs(trial: &Trial<'_>) -> Result<(), String> {
    let (mut analyzer, request) = trial.prepared()?;
    for batch in &trial.batches {
        let lent = copies(batch, &request, |x| x)?;
        let samples = batch.samples().to_vec();
        let (tensors_before, samples_before) = (lent.clone(), samples.clone());
        let own = Batch::new(batch.index(), &samples, &lent);
        no_panic("track_batch", analyzer.track_batch(&own))?;
        if lent != tensors_before {
            return Err("track_batch writes to the tensors that it is lent".to_owned());
        }
        if samples != samples_before {
            return Err("track_batch writes to the samples that it is lent".to_owned());
        }
    }
    Ok(())
}

fn threads(trial: &Trial<'_>) -> Result<(), String> {
    let expected = report(trial.whole()?.as_ref())?;
    // Prepared here, driven there; and two at once.
    let prepared = [trial.prepared()?.0, trial.prepared()?.0];
    let recorded = trial.recorded;
    let reports: Vec<Result<Report, String>> = thread::scope(|scope| {
        let running: Vec<_> = prepared
            .into_iter()
            .map(|mut analyzer| {
                scope.spawn(move || {
                    for batch in recorded.batches() {
                        analyzer.track_batch(&batch).map_err(said("track_batch in another thread"))?;
                    }
                    report(analyzer.as_ref())
                })
            })
            .collect();
        let ended = |_| Err("a thread of it panicked".to_owned());
        running.into_iter().map(|thread| thread.join().unwrap_or_else(ended)).collect()
    });
    for found in reports {
        alike("two at once", &found?, &expected, &Tolerance::STATISTIC)?;
    }
    Ok(())
}

fn one_line(trial: &Trial<'_>) -> Result<(), String> {
    let Some(first) = trial.batches.first() else { return Ok(()) };
    let (mut analyzer, _) = trial.prepared()?;
    let failure = analyzer.track_batch(&Batch::new(0, first.samples(), &Nothing));
    let nothing = Structure::default();
    let model = ModelView { structure: &nothing, ..trial.recorded.model() };
    let unsuitable = (trial.make)()?.prepare(&model).map(|_| ());
    for error in [failure, unsuitable].into_iter().filter_map(Result::err) {
        let text = error.to_string();
        if text.trim().is_empty() || text.lines().count() != 1 || text.chars().any(char::is_control) {
            return Err(format!("it fails with {text:?}, needed one line of text"));
        }
    }
    Ok(())
}
