//! Runs a plan: one pass over the data, shared by all analyses, and their results as files.

mod finish;
mod lane;
mod parity;
mod stopwatch;
#[cfg(test)]
mod tests;
mod watched;

pub use lane::Failure;
pub use parity::{OutputParity, ParityError, ParityReport};
pub(crate) use watched::Watched;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fmrai_core::analyzer::ModelView;
use fmrai_core::batch::Batch;
use fmrai_core::data::{Batches, Counts, DataContext, DataError, InputBatch, Tokenizer};
use fmrai_core::graph::{RecordedGraph, fingerprint};
use fmrai_core::model::{FileInfo, LoadContext, Model};
use fmrai_core::structure::Structure;
use fmrai_core::tracker::CaptureRequest;
use tch::Device;

use crate::checkpoint::{self, Checkpoint, Identity};
use crate::error::{Error, Exit};
use crate::plan::ResolvedPlan;
use crate::progress::Progress;
use crate::results::folder::{self, Occupant};
use lane::Lane;
use stopwatch::Stopwatch;

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
}

/// The answer of an analysis in a few fields, or its failure.
pub type Answer = Result<serde_json::Map<String, serde_json::Value>, Failure>;

impl Outcome {
    /// The exit code of this outcome.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.analyses.iter().any(|(_, a)| a.is_err()) { Exit::AnalysisFailed } else { Exit::Success }
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
    let mut stopwatch = Stopwatch::start();
    let real = |path: &Path| path.canonicalize().ok();
    if real(&plan.output).is_some_and(|output| Some(output) == real(&plan.base)) {
        let what = "the output folder is the folder of the plan itself, needed a folder of its own";
        return Err(Error::Usage(what.to_owned()));
    }
    let occupant = folder::admit(&plan.output, plan.document(), options.resume, options.force)?;
    probe(&plan.output)?;
    let threads = set_threads(options.threads)?;

    let model = plan.model.load(&LoadContext { base: &plan.base, device: Device::Cpu })?;
    let info = model.info();
    for weight in &info.non_finite_weights {
        tracing::warn!(weight.name, nan = weight.nan, infinite = weight.infinite, "a weight is not finite");
    }
    let inputs = model.inputs();
    let context = DataContext {
        base: &plan.base,
        tokenizer: model.tokenizer(),
        max_tokens: info.max_tokens,
        inputs: &inputs,
    };
    let mut batches = plan.data.open(&context)?;
    let files = batches.files()?;
    let Some(first) = batches.next_batch()? else {
        let path = files.first().map_or_else(|| plan.base.clone(), |f| f.name.clone().into());
        return Err(
            DataError::File { path, what: "there is nothing in it to run the model on".to_owned() }.into()
        );
    };
    stopwatch.lap("load");

    let mut watched = Watched::new(model.as_ref(), plan.parity)?;
    let graph = watched.discover(&first.inputs)?;
    let structure = Structure::of(graph.as_ref());
    let essence = ResolvedPlan::essence(plan.document());
    let identity = Identity::new(essence, info, &files, fingerprint(graph.as_ref()).0);
    let mut lanes: Vec<Lane> = Vec::new();
    let (base, document) = (Plan::of(&plan), plan.document().clone());
    for analysis in plan.analyses {
        lanes.push(Lane::new(analysis));
    }
    let view = ModelView {
        graph: graph.as_ref(),
        structure: &structure,
        vocabulary: model.tokenizer().map(Tokenizer::vocabulary),
    };
    lanes.iter_mut().for_each(|lane| lane.prepare(&view));
    let requested = union(&lanes);
    stopwatch.lap("discover");

    let mut session = Session {
        plan: base,
        document,
        model: model.as_ref(),
        files,
        graph: graph.as_ref(),
        structure: &structure,
        identity,
        watched,
        lanes,
        requested,
        batches_done: 0,
        counts: Counts::default(),
        threads,
        resumed_from: None,
        stopwatch,
    };
    if occupant == Occupant::Unfinished {
        if options.resume { session.resume()? } else { checkpoint::remove(&session.plan.output) }
    }
    session.follow(batches.as_mut(), first, options.stop)?;
    session.finish()
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
    model: &'m dyn Model,
    files: Vec<FileInfo>,
    graph: &'m RecordedGraph,
    structure: &'m Structure,
    identity: Identity,
    watched: Watched<'m>,
    lanes: Vec<Lane>,
    /// What the analyses asked for at the start.
    requested: CaptureRequest,
    batches_done: u64,
    counts: Counts,
    threads: usize,
    resumed_from: Option<u64>,
    stopwatch: Stopwatch,
}

impl Session<'_> {
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
        self.watched.set_parity(checkpoint.parity);
        self.batches_done = checkpoint.batches;
        self.counts = checkpoint.counts;
        self.resumed_from = Some(checkpoint.batches);
        Ok(())
    }

    /// Shows every batch to every analysis.
    fn follow(
        &mut self,
        batches: &mut dyn Batches,
        first: InputBatch,
        stop: &dyn Fn(u64) -> bool,
    ) -> Result<(), Error> {
        let mut progress = Progress::new(batches.progress().1);
        progress.from(self.counts.texts);
        let mut saved = Instant::now();
        let mut next = Some(first);
        while let Some(batch) = next {
            if batch.index >= self.batches_done {
                if let Err(error) = self.absorb(&batch) {
                    progress.finish();
                    return Err(error);
                }
                self.batches_done = batch.index + 1;
                self.counts = batches.counts();
                progress.set(batches.progress(), self.counts.texts);
                let stopping = stop(self.batches_done);
                if stopping || saved.elapsed() >= self.plan.checkpoint_every {
                    self.checkpoint().save(&self.plan.output)?;
                    saved = Instant::now();
                }
                if stopping {
                    progress.finish();
                    return Err(Error::Interrupted { batches: self.batches_done });
                }
                if !self.lanes.iter().any(Lane::is_running) {
                    break; // nobody is left to look
                }
            }
            next = batches.next_batch()?;
        }
        progress.finish();
        self.counts = batches.counts();
        self.stopwatch.lap("track");
        Ok(())
    }

    /// One forward pass, seen by every analysis.
    fn absorb(&mut self, batch: &InputBatch) -> Result<(), Error> {
        let index = batch.index;
        let pass = self.watched.pass(&batch.inputs, &union(&self.lanes));
        let activations = pass.map_err(|error| Error::Batch { index, error: Box::new(error) })?;
        let seen = Batch::new(batch.index, &batch.samples, activations.as_ref());
        self.lanes.iter_mut().for_each(|lane| lane.track_batch(&seen));
        Ok(())
    }

    fn checkpoint(&mut self) -> Checkpoint {
        Checkpoint {
            identity: self.identity.clone(),
            batches: self.batches_done,
            counts: self.counts,
            parity: self.watched.parity().cloned(),
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
