//! Runs a plan: one pass over the data, shared by all analyses, and their results as files.

mod finish;
mod interim;
mod lane;
mod limit;
mod live;
mod parity;
mod probe;
mod recorder;
mod rows;
mod source;
mod stopwatch;
mod stored;
#[cfg(test)]
mod tests;
mod told;
mod watched;

pub use lane::Failure;
pub use parity::{OutputParity, ParityError, ParityReport};
pub use recorder::Recorded;
pub use told::{Nan, Told};
pub(crate) use watched::Watched;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fmrai_core::activations::ActivationFolder;
use fmrai_core::analyzer::{ModelView, Weights};
use fmrai_core::batch::Batch;
use fmrai_core::graph::fingerprint;
use fmrai_core::structure::{Structure, opaque_operations};
use fmrai_core::tracker::CaptureRequest;
use fmrai_torch::Device;
use fmrai_torch::data::{Counts, DataContext, DataError, RegisteredDataSource};
use fmrai_torch::model::{LoadContext, LoadedWeights, ModelError, RegisteredModelSource};
use fmrai_torch::text::Tokenizer;

use crate::checkpoint::{Checkpoint, Identity, SaveError};
use crate::error::{Error, Exit};
use crate::plan::{self, ResolvedPlan};
use crate::progress::Progress;
use crate::results::folder::{Occupant, OutputFolder};
use crate::results::{WriteError, summary};
use interim::Interim;
use lane::Lane;
use limit::Limit;
use live::Live;
use recorder::Recorder;
use source::{About, Samples, Source};
use stopwatch::Stopwatch;
use stored::Stored;

/// What a run is told besides its plan. None of it changes a result.
pub struct Options<'a> {
    /// Go on from the checkpoint in the output folder, if there is one.
    pub resume: bool,
    /// Write into an output folder that holds something else, and drop the checkpoint of an unfinished run.
    pub force: bool,
    /// Threads for the model and for the analyses; all cores where absent.
    pub threads: Option<usize>,
    /// Asked after each batch and between all other steps, with the number of batches done: true stops the run, which can
    /// then be resumed.
    pub stop: &'a dyn Fn(u64) -> bool,
}

impl Options<'_> {
    /// A place where a run can be stopped, after so many batches.
    fn pause(&self, batches: u64) -> Result<(), Error> {
        if (self.stop)(batches) { Err(Error::Interrupted { batches }) } else { Ok(()) }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The output folder.
    pub output: PathBuf,
    /// What was read.
    pub counts: Counts,
    /// The comparison with the untouched model.
    pub parity: Option<ParityReport>,
    /// Weights that hold NaN or infinity.
    pub non_finite_weights: usize,
    /// What else a user should know: of the model, and of the tensors that were kept. A sentence each.
    pub warnings: Vec<String>,
    /// Each analysis by name.
    pub analyses: Vec<(String, Answer)>,
    /// The activations that were written, if any.
    pub activations: Option<Recorded>,
}

/// The answer of an analysis in a few fields, or its failure.
pub type Answer = Result<serde_json::Map<String, serde_json::Value>, Failure>;

impl Outcome {
    /// The exit code of this outcome.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.outputs_differ() {
            return Exit::OutputsDiffer;
        }
        if self.analyses.iter().any(|(_, a)| a.is_err()) { Exit::AnalysisFailed } else { Exit::Success }
    }
}

impl Outcome {
    /// True if the watched model gave other outputs than the untouched one: nothing that it kept can then be trusted.
    #[must_use]
    pub fn outputs_differ(&self) -> bool {
        self.parity.as_ref().is_some_and(|parity| !parity.agrees)
    }
}

/// Runs a plan and writes its results.
///
/// # Errors
/// [`Error`]; the failure of an analysis is none, it is told in the [`Outcome`]. A run that cannot write its
/// results leaves a checkpoint where it can, so that nothing has to be computed again.
pub fn run(plan: ResolvedPlan, options: &Options<'_>) -> Result<Outcome, Error> {
    let stopwatch = Stopwatch::start();
    own_folder(&plan)?;
    let (mut folder, occupant) =
        OutputFolder::take(&plan.output, plan.document(), options.resume, options.force)?;
    let outcome = execute(plan, options, stopwatch, &mut folder, occupant);
    if outcome.is_err() {
        folder.leave();
    }
    outcome
}

/// The output folder must not be one that the run reads.
fn own_folder(plan: &ResolvedPlan) -> Result<(), Error> {
    let real = |path: &Path| path.canonicalize().ok();
    let Some(output) = real(&plan.output) else { return Ok(()) };
    let what = match &plan.source {
        _ if real(&plan.base).is_some_and(|base| base == output) => "the folder of the plan itself",
        plan::Source::Activations(path) if real(path).is_some_and(|path| path.starts_with(&output)) => {
            "the folder of the activations that are analysed"
        }
        _ => return Ok(()),
    };
    Err(Error::Usage(format!("the output folder is {what}, needed a folder of its own")))
}

fn execute(
    plan: ResolvedPlan,
    options: &Options<'_>,
    stopwatch: Stopwatch,
    folder: &mut OutputFolder,
    occupant: Occupant,
) -> Result<Outcome, Error> {
    let threads = set_threads(options.threads)?;
    let limit = Limit::new(plan.batch_seconds);
    let limit = limit.map_err(|e| Error::Internal(format!("time cannot be watched: {e}")))?;
    let (document, base) = (plan.document().clone(), Plan::of(&plan));
    let start = Start { limit: limit.clone(), threads, stopwatch, folder, occupant, document, base };
    let ResolvedPlan { source, analyses, capture, parity, base, .. } = plan;
    let lanes: Vec<Lane> = analyses.into_iter().map(|analysis| Lane::new(analysis, limit.clone())).collect();
    match source {
        plan::Source::Live { model, data } => {
            start.live(model.as_ref(), data.as_ref(), &base, parity, capture, lanes, options)
        }
        plan::Source::Activations(path) => start.stored(&path, lanes, options),
    }
}

/// What a run begins with, whatever its source is.
struct Start<'f> {
    limit: Limit,
    threads: usize,
    stopwatch: Stopwatch,
    folder: &'f mut OutputFolder,
    occupant: Occupant,
    document: serde_json::Value,
    base: Plan,
}

impl<'f> Start<'f> {
    #[expect(clippy::too_many_arguments, reason = "the parts of a plan, used once")]
    fn live(
        mut self,
        model: &dyn RegisteredModelSource,
        data: &dyn RegisteredDataSource,
        base: &Path,
        parity: plan::Parity,
        capture: Option<plan::Capture>,
        mut lanes: Vec<Lane>,
        options: &Options<'_>,
    ) -> Result<Outcome, Error> {
        let model = model.load(&LoadContext { base, device: Device::Cpu })?;
        let info = model.info();
        for weight in &info.non_finite_weights {
            tracing::warn!(
                weight.name,
                nan = weight.nan,
                infinite = weight.infinite,
                "a weight is not finite"
            );
        }
        for warning in &info.warnings {
            tracing::warn!("{warning}");
        }
        let inputs = model.inputs();
        let context =
            DataContext { base, tokenizer: model.tokenizer(), max_tokens: info.max_tokens, inputs: &inputs };
        let mut batches = data.open(&context)?;
        let data_files = batches.files()?;
        let Some(first) = batches.next_batch()? else {
            let path = data_files.first().map_or_else(|| base.to_owned(), |f| f.name.clone().into());
            let what = "there is nothing in it to run the model on".to_owned();
            return Err(DataError::File { path, what }.into());
        };
        self.stopwatch.lap("load");
        options.pause(0)?;
        let (mut live, graph) = Live::start(model.as_ref(), batches, first, parity)?;
        let weights: Arc<dyn Weights> = Arc::new(LoadedWeights::of(model.as_ref(), graph.as_ref()));
        let mut structure = Structure::of(graph.as_ref());
        structure.read_masks(graph.as_ref(), weights.as_ref());
        let about = About {
            graph: graph.as_ref(),
            structure: &structure,
            vocabulary: model.tokenizer().map(Tokenizer::vocabulary),
            weights: Some(weights),
            model: summary::model(info),
            model_files: info.files.clone(),
            path: info.path.display().to_string(),
            non_finite_weights: info.non_finite_weights.len(),
            warnings: info.warnings.iter().cloned().chain(opaque_operations(graph.as_ref())).collect(),
            data_files,
            manifest: None,
            kernels: None,
        };
        options.pause(0)?;
        prepare(&mut lanes, &about);
        let recorder =
            capture.map(|capture| Recorder::new(&self.base.output, capture, &about)).transpose()?;
        let (session, occupant) = self.session(about, &mut live, lanes, recorder);
        session.run(&occupant, options)
    }

    fn stored(mut self, path: &Path, mut lanes: Vec<Lane>, options: &Options<'_>) -> Result<Outcome, Error> {
        let folder = ActivationFolder::open(path)?;
        let about = Stored::about(&folder);
        self.stopwatch.lap("load");
        let view = prepare(&mut lanes, &about);
        for lane in lanes.iter_mut().filter(|lane| lane.is_running()) {
            if let Some(message) = Stored::lacks(&folder, &view, &lane.request) {
                lane.fail("prepare", &message);
            }
        }
        options.pause(0)?;
        let mut source = Stored::new(&folder);
        let (session, occupant) = self.session(about, &mut source, lanes, None);
        session.run(&occupant, options)
    }

    fn session<'m>(
        mut self,
        about: About<'m>,
        source: &'m mut dyn Source,
        lanes: Vec<Lane>,
        recorder: Option<Recorder>,
    ) -> (Session<'m>, Occupant)
    where
        'f: 'm,
    {
        let files: Vec<_> = about.data_files.iter().chain(&about.manifest).cloned().collect();
        let essence = ResolvedPlan::essence(&self.document);
        let identity = Identity::new(essence, &about.model_files, &files, fingerprint(about.graph).0);
        let requested = match &recorder {
            Some(recorder) => union(&lanes).union(recorder.request()),
            None => union(&lanes),
        };
        self.stopwatch.lap("discover");
        let session = Session {
            plan: self.base,
            folder: self.folder,
            document: self.document,
            limit: self.limit,
            about,
            source,
            identity,
            lanes,
            recorder,
            requested,
            batches_done: 0,
            saved: None,
            counts: Counts::default(),
            told: Told::default(),
            threads: self.threads,
            resumed_from: None,
            stopwatch: self.stopwatch,
        };
        (session, self.occupant)
    }
}

/// Shows the model to every analysis.
fn prepare<'a>(lanes: &mut [Lane], about: &'a About<'a>) -> ModelView<'a> {
    let view = ModelView {
        graph: about.graph,
        structure: about.structure,
        vocabulary: about.vocabulary,
        weights: about.weights.as_ref(),
    };
    lanes.iter_mut().for_each(|lane| lane.prepare(&view));
    view
}

/// What of a resolved plan the run still needs once its analyses are built.
struct Plan {
    file: PathBuf,
    output: PathBuf,
    checkpoint_every: Duration,
}

impl Plan {
    fn of(plan: &ResolvedPlan) -> Self {
        Self {
            file: plan.file.clone(),
            output: plan.output.clone(),
            checkpoint_every: Duration::from_secs(plan.checkpoint_seconds),
        }
    }
}

/// A run between its first batch and its results.
struct Session<'m> {
    plan: Plan,
    folder: &'m mut OutputFolder,
    document: serde_json::Value,
    limit: Limit,
    about: About<'m>,
    source: &'m mut dyn Source,
    identity: Identity,
    lanes: Vec<Lane>,
    recorder: Option<Recorder>,
    /// What the analyses asked for at the start, and what is captured.
    requested: CaptureRequest,
    batches_done: u64,
    /// After how many batches the checkpoint on disk is.
    saved: Option<u64>,
    counts: Counts,
    told: Told,
    threads: usize,
    resumed_from: Option<u64>,
    stopwatch: Stopwatch,
}

impl Session<'_> {
    fn run(mut self, occupant: &Occupant, options: &Options<'_>) -> Result<Outcome, Error> {
        if options.resume && *occupant == Occupant::Unfinished {
            self.resume()?;
        }
        if self.resumed_from.is_none() {
            self.folder.start_anew()?;
            if self.recorder.is_some() {
                // Whatever ends the run, the batches that it writes are known to be those of this plan.
                self.save()?;
            }
        }
        self.follow(options)?;
        self.finish(options)
    }

    /// Takes the states of the checkpoint, if it is of this very run.
    fn resume(&mut self) -> Result<(), Error> {
        let output = &self.plan.output;
        let Some(checkpoint) = Checkpoint::load(output)? else {
            return Ok(());
        };
        checkpoint.check(&self.identity, output)?;
        if checkpoint.threads != self.threads {
            let (then, now) = (checkpoint.threads, self.threads);
            tracing::warn!(
                then,
                now,
                "another number of threads may change the last digits of the model's numbers"
            );
        }
        for lane in &mut self.lanes {
            lane.restore(checkpoint.analysis(&lane.name, output)?)?;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.resume()?;
        }
        self.source.set_parity(checkpoint.parity);
        self.batches_done = checkpoint.batches;
        self.counts = checkpoint.counts;
        self.told = checkpoint.told;
        self.resumed_from = Some(checkpoint.batches);
        self.saved = self.resumed_from;
        Ok(())
    }

    /// Shows every batch to every analysis.
    fn follow(&mut self, options: &Options<'_>) -> Result<(), Error> {
        let mut progress = Progress::new(self.source.progress().1);
        progress.from(self.counts.texts);
        let followed = self.follow_with(options, &mut progress);
        progress.finish();
        followed?;
        self.counts = self.source.counts();
        self.stopwatch.lap("track");
        Ok(())
    }

    fn follow_with(&mut self, options: &Options<'_>, progress: &mut Progress) -> Result<(), Error> {
        let mut last = Instant::now();
        let mut interim = Interim::new();
        let mut read = 0;
        // What was read counts, so no more is read than was needed, also when a run is resumed.
        while read < self.batches_done || read == 0 || self.somebody_looks() {
            let Some(batch) = self.source.next()? else { break };
            read = batch.index + 1;
            let done = match read <= self.batches_done {
                true => options.pause(self.batches_done).and_then(|()| self.pass_over(&batch)),
                false => self.absorb(&batch),
            };
            done.map_err(|error| match error {
                Error::Write { source, .. } => self.keep(source),
                other => other,
            })?;
            if read <= self.batches_done {
                continue;
            }
            self.batches_done = read;
            self.counts = self.source.counts();
            progress.set(self.source.progress(), self.counts.texts);
            let stopping = (options.stop)(self.batches_done);
            if stopping || last.elapsed() >= self.plan.checkpoint_every {
                self.save()?;
                interim.write(&self.lanes, &self.plan.output, stopping);
                last = Instant::now();
            }
            if stopping {
                return Err(Error::Interrupted { batches: self.batches_done });
            }
        }
        Ok(())
    }

    fn somebody_looks(&self) -> bool {
        self.recorder.is_some() || self.lanes.iter().any(Lane::is_running)
    }

    /// A batch that was absorbed before: the model's state follows it, and its file is written again if it is gone or spoiled.
    fn pass_over(&mut self, batch: &Samples) -> Result<(), Error> {
        let Some(recorder) = self.recorder.as_mut().filter(|recorder| !recorder.has(batch.index)) else {
            let over = self.source.pass_over();
            return over.map_err(|error| Error::Batch { index: batch.index, error: Box::new(error) });
        };
        let parity = self.source.parity().cloned(); // it has been compared before
        let pass = self.source.activations(recorder.request());
        let activations =
            pass.map_err(|error| Error::Batch { index: batch.index, error: Box::new(error) })?;
        recorder.record(batch, activations.as_ref(), self.source.counts())?;
        self.source.set_parity(parity);
        Ok(())
    }

    /// One forward pass, written where it is captured, then seen by every analysis.
    fn absorb(&mut self, batch: &Samples) -> Result<(), Error> {
        let index = batch.index;
        let _limited = self.limit.batch(index);
        let mut wanted = union(&self.lanes);
        // What an interrupted run has written already is kept.
        let there = self.recorder.as_ref().is_none_or(|recorder| recorder.has(index));
        if let Some(recorder) = &self.recorder {
            // Also where the batch is there: a comparison with the untouched model is one of all that is captured.
            wanted = wanted.union(recorder.request());
        }
        // A batch that is there runs again all the same: what is told of its tensors is not written with it.
        let looks = self.recorder.is_some() || self.lanes.iter().any(Lane::is_running);
        if !looks && !self.source.has_to_run() {
            return Ok(());
        }
        let recorder = self.recorder.as_mut().filter(|_| !there);
        let pass = self.source.activations(&wanted);
        let activations = pass.map_err(|error| Error::Batch { index, error: Box::new(error) })?;
        if let Some(recorder) = recorder {
            recorder.record(batch, activations.as_ref(), self.source.counts())?;
        }
        let source = &mut self.source;
        source.note(&wanted, &mut self.told);
        let row_of = |id, shape: &[usize], element| source.row_of(id, shape, element);
        self.told.look(batch, activations.as_ref(), &wanted, row_of);
        let seen = Batch::new(batch.index, &batch.samples, activations.as_ref());
        self.lanes.iter_mut().for_each(|lane| lane.track_batch(&seen));
        Ok(())
    }

    /// Writes the state to disk, unless it is there.
    fn save(&mut self) -> Result<(), Error> {
        let kept = self.folder.hold()?;
        if kept && self.saved == Some(self.batches_done) {
            return Ok(());
        }
        self.checkpoint().save(self.folder.path()).map_err(|error| match error {
            SaveError::Write(source) => Error::from(source), // its path says that it is a checkpoint's
            other => other.into(),
        })?;
        self.saved = Some(self.batches_done);
        Ok(())
    }

    /// Says what becomes of the work done so far when a file cannot be written: a later `--resume` goes on with it.
    fn keep(&mut self, source: WriteError) -> Error {
        let kept = match self.save() {
            Ok(()) => "; nothing is lost, --resume goes on from here",
            Err(error) => {
                tracing::warn!(%error, "the checkpoint could not be written either");
                ""
            }
        };
        Error::Write { source, kept }
    }

    fn checkpoint(&mut self) -> Checkpoint {
        Checkpoint {
            identity: self.identity.clone(),
            batches: self.batches_done,
            counts: self.counts,
            parity: self.source.parity().cloned(),
            told: self.told.clone(),
            threads: self.threads,
            analyses: self.lanes.iter_mut().map(|lane| (lane.name.clone(), lane.progress())).collect(),
        }
    }
}

/// Everything that any analysis still wants to see.
fn union(lanes: &[Lane]) -> CaptureRequest {
    lanes.iter().fold(CaptureRequest::none(), |all, lane| all.union(&lane.request))
}

/// Most threads: with many more a system stands still before they are all there.
const MOST_THREADS: usize = 1024;

/// Sets the threads of libtorch and of the analyses.
fn set_threads(threads: Option<usize>) -> Result<usize, Error> {
    let all = || std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let threads = threads.unwrap_or_else(all);
    if !(1..=MOST_THREADS).contains(&threads) {
        return Err(Error::Usage(format!("{threads} threads, valid are 1 to {MOST_THREADS}")));
    }
    fmrai_torch::set_threads(threads).map_err(ModelError::from)?;
    // Fails only where a program that embeds this library has set up its own pool, which is then used.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    Ok(threads)
}
