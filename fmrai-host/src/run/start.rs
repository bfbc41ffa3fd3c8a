//! From a plan to its results.

use std::path::Path;
use std::sync::Arc;

use fmrai_core::activations::ActivationFolder;
use fmrai_core::analyzer::{ModelView, Weights};
use fmrai_core::graph::fingerprint;
use fmrai_core::structure::{Structure, opaque_operations};
use fmrai_torch::Device;
use fmrai_torch::data::{Counts, DataContext, DataError, RegisteredDataSource};
use fmrai_torch::model::{LoadContext, LoadedWeights, ModelError, RegisteredModelSource};
use fmrai_torch::text::Tokenizer;

use super::about::About;
use super::lane::Lane;
use super::limit::Limit;
use super::live::Live;
use super::options::Options;
use super::outcome::Outcome;
use super::recorder::Recorder;
use super::session::{Plan, Session, union};
use super::source::Source;
use super::stopwatch::Stopwatch;
use super::stored::Stored;
use super::told::Told;
use crate::checkpoint::Identity;
use crate::error::Error;
use crate::plan::{self, ResolvedPlan};
use crate::results::folder::{Occupant, OutputFolder};
use crate::results::summary;

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
        through(session, &occupant, options)
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
        through(session, &occupant, options)
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

/// All of the data, then the conclusions.
fn through(mut session: Session<'_>, occupant: &Occupant, options: &Options<'_>) -> Result<Outcome, Error> {
    session.begin(occupant, options)?;
    session.follow(options)?;
    session.finish(options)
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
