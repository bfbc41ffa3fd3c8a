//! What all runs have in common, wherever their parts come from.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use fmrai_core::activations::ActivationFolder;
use fmrai_core::analyzer::{ModelView, Weights};
use fmrai_core::graph::fingerprint;
use fmrai_core::report::Report;
use fmrai_core::structure::{Structure, StructureFile, opaque_operations};
use fmrai_torch::Device;
use fmrai_torch::data::{Counts, DataContext, DataError};
use fmrai_torch::model::LoadedWeights;
use fmrai_torch::text::Tokenizer;

use super::about::About;
use super::budget::Budget;
use super::given::{GivenData, GivenModel};
use super::keeper::{Keeper, Place};
use super::lane::Lane;
use super::limit::Limit;
use super::live::{How, Live, Readable};
use super::options::Options;
use super::outcome::Outcome;
use super::recorder::Recorder;
use super::session::{NO_MODEL, ONCE, Session, union};
use super::skipped::Skipped;
use super::source::Source;
use super::stopwatch::Stopwatch;
use super::stored::Stored;
use super::told::Told;
use super::understanding;
use super::watch::Watch;
use crate::checkpoint::{Identity, Share};
use crate::error::Error;
use crate::plan::{Capture, OnError, Parity, ResolvedPlan};
use crate::results::summary;

/// What a run begins with, whatever its source is.
pub(super) struct Start<'f, R> {
    pub(super) limit: Limit,
    pub(super) budget: Budget,
    pub(super) on_error: OnError,
    pub(super) stopwatch: Stopwatch,
    /// Where results are kept, if they are.
    pub(super) place: Option<Place<'f>>,
    pub(super) lanes: Vec<Lane>,
    /// What is handed back of a report.
    pub(super) keep: fn(Report) -> R,
}

/// A model, and the data that it runs on.
pub(super) struct Subject<'a> {
    pub(super) model: GivenModel,
    pub(super) data: GivenData,
    /// Folder that relative paths of both start from.
    pub(super) base: &'a Path,
    pub(super) parity: Parity,
    /// Where the model runs, and its inputs with it.
    pub(super) device: Device,
    /// The activations that are written where results are kept.
    pub(super) capture: Option<Capture>,
    /// What corrects the structure that is found.
    pub(super) structure: Option<StructureFile>,
}

impl<R> Start<'_, R> {
    /// Runs a model on data.
    pub(super) fn live(mut self, subject: Subject<'_>, options: &Options<'_>) -> Result<Outcome<R>, Error> {
        let Subject { model, data, base, parity, device, capture, structure: told } = subject;
        let model = model.load(base, device, self.budget.weight_bytes()?)?;
        let info = model.info();
        for weight in &info.non_finite_weights {
            tracing::warn!(
                weight.name,
                nan = weight.nan,
                infinite = weight.infinite,
                "a weight is not finite"
            );
        }
        let inputs = model.inputs();
        let context =
            DataContext { base, tokenizer: model.tokenizer(), max_tokens: info.max_tokens, inputs: &inputs };
        let (mut batches, again) = data.batches(context, self.on_error)?;
        let data_files = batches.files()?;
        let Some(first) = batches.next_batch()? else {
            let path = data_files.first().map_or_else(|| base.to_owned(), |f| f.name.clone().into());
            let what = "there is nothing in it to run the model on".to_owned();
            return Err(DataError::File { path, what }.into());
        };
        self.stopwatch.lap("load");
        options.pause(0)?;
        let batches = Readable { batches, again, files: data_files.clone() };
        let once = batches.again.is_none();
        let few = self.budget.is_set();
        let (mut live, graph) = Live::start(model.as_ref(), batches, first, How { parity, few, device })?;
        let weights: Arc<dyn Weights> = Arc::new(LoadedWeights::of(model.as_ref(), graph.as_ref()));
        let mut structure = Structure::of(graph.as_ref());
        let corrections =
            understanding::corrected(graph.as_ref(), &mut structure, &info.path, told.as_ref())?;
        let doubts = live.check(graph.as_ref(), &mut structure);
        structure.read_masks(graph.as_ref(), weights.as_ref());
        let told = info.warnings.iter().cloned().chain(opaque_operations(graph.as_ref())).chain(doubts);
        let warnings: Vec<String> = told.collect();
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let about = About {
            graph: graph.as_ref(),
            structure: &structure,
            vocabulary: model.tokenizer().map(Tokenizer::vocabulary),
            weights: Some(weights),
            model: summary::model(info),
            model_files: info.files.iter().cloned().chain(corrections).collect(),
            path: info.path.display().to_string(),
            non_finite_weights: info.non_finite_weights.len(),
            warnings,
            data_files,
            manifest: None,
            kernels: None,
        };
        options.pause(0)?;
        prepare(&mut self.lanes, &about);
        for lane in self.lanes.iter_mut().filter(|lane| once && lane.is_running() && lane.sweeps() > 1) {
            lane.fail("prepare", ONCE);
        }
        let captured = capture.zip(self.place.as_ref());
        let recorder = captured.map(|(what, place)| Recorder::new(place.folder.path(), what, &about));
        let recorder = recorder.transpose()?;
        self.through(about, &mut live, recorder, options)
    }

    /// Goes through activations that were captured before.
    pub(super) fn stored(mut self, path: &Path, options: &Options<'_>) -> Result<Outcome<R>, Error> {
        let folder = ActivationFolder::open(path)?;
        let about = Stored::about(&folder);
        self.stopwatch.lap("load");
        let view = prepare(&mut self.lanes, &about);
        for lane in self.lanes.iter_mut().filter(|lane| lane.is_running()) {
            if lane.drives_model() {
                lane.fail("prepare", NO_MODEL);
                continue;
            }
            if let Some(message) = Stored::lacks(&folder, &view, &lane.request) {
                lane.fail("prepare", &message);
            }
        }
        options.pause(0)?;
        let mut source = Stored::new(&folder);
        self.through(about, &mut source, None, options)
    }

    /// All of the data, then the conclusions.
    fn through(
        mut self,
        about: About<'_>,
        source: &mut dyn Source,
        recorder: Option<Recorder>,
        options: &Options<'_>,
    ) -> Result<Outcome<R>, Error> {
        let files: Vec<_> = about.data_files.iter().chain(&about.manifest).cloned().collect();
        let keeper = self.place.map(|place| {
            let essence = ResolvedPlan::essence(&place.document);
            let graph = fingerprint(about.graph).0;
            Keeper::new(place, Identity::new(essence, &about.model_files, &files, graph))
        });
        let requested = match &recorder {
            Some(recorder) => union(&self.lanes).union(recorder.request()),
            None => union(&self.lanes),
        };
        self.stopwatch.lap("discover");
        let output = keeper.as_ref().map(|keeper| keeper.output().to_owned());
        let mut session = Session {
            watch: Watch::new(options.observers, output.as_deref()),
            failed: BTreeSet::new(),
            keeper,
            limit: self.limit,
            budget: self.budget,
            about,
            source,
            lanes: self.lanes,
            recorder,
            requested,
            batches_done: 0,
            data_batches: 0,
            sweep: 0,
            counts: Counts::default(),
            counted: Default::default(),
            share: Share::default(),
            merged: Vec::new(),
            on_error: self.on_error,
            skipped: Skipped::default(),
            told: Told::default(),
            resumed_from: None,
            stopwatch: self.stopwatch,
        };
        session.begin(options)?;
        session.follow(options)?;
        if session.share == Share::Whole { session.finish(options, self.keep) } else { session.keep_part() }
    }
}

/// Shows the model to every analysis.
fn prepare<'a>(lanes: &mut [Lane], about: &'a About<'a>) -> ModelView<'a> {
    let view = about.view();
    lanes.iter_mut().for_each(|lane| lane.prepare(&view));
    view
}
