//! Runs a plan: one pass over the data, shared by all analyses, and their results as files.

mod finish;
mod interim;
mod lane;
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
pub(crate) use recorder::files as activation_files;
pub use recorder::{FOLDER, Recorded};
pub use told::{Nan, Told};
pub(crate) use watched::Watched;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fmrai_core::activations::ActivationFolder;
use fmrai_core::analyzer::ModelView;
use fmrai_core::batch::Batch;
use fmrai_core::data::{Counts, DataContext, DataError, DataSource, Tokenizer};
use fmrai_core::graph::fingerprint;
use fmrai_core::model::{LoadContext, LoadedWeights, ModelSource};
use fmrai_core::structure::Structure;
use fmrai_core::tracker::CaptureRequest;
use tch::Device;

use crate::checkpoint::{self, Checkpoint, Identity};
use crate::error::{Error, Exit};
use crate::plan::{self, ResolvedPlan};
use crate::progress::Progress;
use crate::results::folder::{self, Occupant};
use crate::results::summary;
use interim::Interim;
use lane::Lane;
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
    /// Asked after each batch, with the number of batches done: true stops the run, which can then be resumed.
    pub stop: &'a dyn Fn(u64) -> bool,
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
    /// Each analysis by name.
    pub analyses: Vec<(String, Answer)>,
    /// The activations that were written, if any.
    pub activations: Option<Recorded>,
    /// What was noticed in the tensors that were kept, a sentence each.
    pub warnings: Vec<String>,
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
    let output = plan.output.clone();
    let absent = !output.exists();
    let outcome = execute(plan, options);
    if absent && outcome.is_err() {
        let _ = std::fs::remove_dir(&output); // stays if there is anything in it
    }
    outcome
}

fn execute(plan: ResolvedPlan, options: &Options<'_>) -> Result<Outcome, Error> {
    let stopwatch = Stopwatch::start();
    let real = |path: &Path| path.canonicalize().ok();
    if real(&plan.output).is_some_and(|output| Some(output) == real(&plan.base)) {
        let what = "the output folder is the folder of the plan itself, needed a folder of its own";
        return Err(Error::Usage(what.to_owned()));
    }
    let occupant = folder::admit(&plan.output, plan.document(), options.resume, options.force)?;
    probe(&plan.output)?;
    let threads = set_threads(options.threads)?;

    let start =
        Start { threads, stopwatch, occupant, document: plan.document().clone(), base: Plan::of(&plan) };
    let ResolvedPlan { source, analyses, capture, parity, base, .. } = plan;
    let lanes: Vec<Lane> = analyses.into_iter().map(Lane::new).collect();
    match source {
        plan::Source::Live { model, data } => {
            start.live(model.as_ref(), data.as_ref(), &base, parity, capture, lanes, options)
        }
        plan::Source::Activations(path) => start.stored(&path, lanes, options),
    }
}

/// What a run begins with, whatever its source is.
struct Start {
    threads: usize,
    stopwatch: Stopwatch,
    occupant: Occupant,
    document: serde_json::Value,
    base: Plan,
}

impl Start {
    #[expect(clippy::too_many_arguments, reason = "the parts of a plan, used once")]
    fn live(
        mut self,
        model: &dyn ModelSource,
        data: &dyn DataSource,
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
        let (mut live, graph) = Live::start(model.as_ref(), batches, first, parity)?;
        let structure = Structure::of(graph.as_ref());
        let about = About {
            graph: graph.as_ref(),
            structure: &structure,
            vocabulary: model.tokenizer().map(Tokenizer::vocabulary),
            weights: Some(Arc::new(LoadedWeights::of(model.as_ref(), graph.as_ref()))),
            model: summary::model(info),
            model_files: info.files.clone(),
            path: info.path.display().to_string(),
            non_finite_weights: info.non_finite_weights.len(),
            data_files,
            manifest: None,
            kernels: None,
        };
        prepare(&mut lanes, &about);
        let recorder =
            capture.map(|capture| Recorder::new(&self.base.output, capture, &about)).transpose()?;
        let (session, occupant) = self.session(about, &mut live, lanes, recorder);
        session.run(&occupant, options)
    }

    fn stored(mut self, path: &Path, mut lanes: Vec<Lane>, options: &Options<'_>) -> Result<Outcome, Error> {
        let folder = ActivationFolder::open(path)?;
        let about = Stored::about(&folder)?;
        self.stopwatch.lap("load");
        let view = prepare(&mut lanes, &about);
        for lane in lanes.iter_mut().filter(|lane| lane.is_running()) {
            if let Some(message) = Stored::lacks(&folder, &view, &lane.request) {
                lane.fail("prepare", &message);
            }
        }
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
    ) -> (Session<'m>, Occupant) {
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
            document: self.document,
            about,
            source,
            identity,
            lanes,
            recorder,
            requested,
            batches_done: 0,
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
    document: serde_json::Value,
    about: About<'m>,
    source: &'m mut dyn Source,
    identity: Identity,
    lanes: Vec<Lane>,
    recorder: Option<Recorder>,
    /// What the analyses asked for at the start, and what is captured.
    requested: CaptureRequest,
    batches_done: u64,
    counts: Counts,
    told: Told,
    threads: usize,
    resumed_from: Option<u64>,
    stopwatch: Stopwatch,
}

impl Session<'_> {
    fn run(mut self, occupant: &Occupant, options: &Options<'_>) -> Result<Outcome, Error> {
        if *occupant == Occupant::Unfinished {
            if options.resume { self.resume()? } else { checkpoint::remove(&self.plan.output) }
        }
        if self.recorder.is_some() && self.resumed_from.is_none() {
            recorder::clear(&self.plan.output)?;
            // Whatever ends the run, the batches that it writes are known to be those of this plan.
            self.checkpoint().save(&self.plan.output)?;
        }
        self.follow(options.stop)?;
        self.finish()
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
            let progress = checkpoint.analyses.iter().find(|(name, _)| *name == lane.name);
            if let Some((_, progress)) = progress {
                lane.restore(progress)?;
            }
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.resume(checkpoint.batches)?;
        }
        self.source.set_parity(checkpoint.parity);
        self.batches_done = checkpoint.batches;
        self.counts = checkpoint.counts;
        self.told = checkpoint.told;
        self.resumed_from = Some(checkpoint.batches);
        Ok(())
    }

    /// Shows every batch to every analysis.
    fn follow(&mut self, stop: &dyn Fn(u64) -> bool) -> Result<(), Error> {
        let mut progress = Progress::new(self.source.progress().1);
        progress.from(self.counts.texts);
        let mut saved = Instant::now();
        let mut interim = Interim::new();
        while let Some(batch) = self.source.next()? {
            if batch.index < self.batches_done {
                let over = self.source.pass_over();
                over.map_err(|error| Error::Batch { index: batch.index, error: Box::new(error) })?;
                continue;
            }
            if let Err(error) = self.absorb(&batch) {
                progress.finish();
                return Err(match error {
                    Error::Write { source, .. } => self.keep(source),
                    other => other,
                });
            }
            self.batches_done = batch.index + 1;
            self.counts = self.source.counts();
            progress.set(self.source.progress(), self.counts.texts);
            let stopping = stop(self.batches_done);
            if stopping || saved.elapsed() >= self.plan.checkpoint_every {
                self.checkpoint().save(&self.plan.output)?;
                interim.write(&self.lanes, &self.plan.output, stopping);
                saved = Instant::now();
            }
            if stopping {
                progress.finish();
                return Err(Error::Interrupted { batches: self.batches_done });
            }
            if self.recorder.is_none() && !self.lanes.iter().any(Lane::is_running) {
                break; // nobody is left to look
            }
        }
        progress.finish();
        self.counts = self.source.counts();
        self.stopwatch.lap("track");
        Ok(())
    }

    /// One forward pass, written where it is captured, then seen by every analysis.
    fn absorb(&mut self, batch: &Samples) -> Result<(), Error> {
        let index = batch.index;
        let mut wanted = union(&self.lanes);
        // What an interrupted run has written already is kept.
        let there = self.recorder.as_mut().is_none_or(|recorder| recorder.has(index, Some(batch)));
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

/// Finds out before the work, not after it, that nothing can be written.
fn probe(output: &Path) -> Result<(), Error> {
    let probe = output.join(".fmrai-probe.tmp");
    crate::results::write(&probe, b"probe")?;
    std::fs::remove_file(&probe)
        .map_err(|source| folder::FolderError::Io { path: output.to_owned(), source }.into())
}

/// Sets the threads of libtorch and of the analyses.
fn set_threads(threads: Option<usize>) -> Result<usize, Error> {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.unwrap_or_else(all);
    let count = i32::try_from(threads).ok().filter(|n| *n > 0);
    let count = count.ok_or_else(|| Error::Usage(format!("{threads} threads, valid is 1 or more")))?;
    tch::set_num_threads(count);
    // Fails only where a program that embeds this library has set up its own pool, which is then used.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    Ok(threads)
}
