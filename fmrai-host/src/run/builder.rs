//! A run put together from values, for programs that embed this library.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fmrai_core::analyzer::{Analyzer, Method, RegisteredConfig};
use fmrai_core::experiment::Experiment;
use fmrai_core::report::Report;
use fmrai_core::structure::StructureFile;
use fmrai_torch::data::{Batches, RegisteredDataSource};
use fmrai_torch::model::{Model, RegisteredModelSource};
use serde_json::{Map, Value, json};

use super::budget::Budget;
use super::error::RunError;
use super::given::{GivenData, GivenModel};
use super::keeper::Place;
use super::lane::Lane;
use super::limit::Limit;
use super::options::Options;
use super::outcome::Outcome;
use super::start::{Start, Subject};
use super::stopwatch::Stopwatch;
use crate::error::Error;
use crate::events::Observer;
use crate::plan::{
    Capture, Config, DeviceChoice, FORMAT, Held, Limits, OnError, Parity, ResolvedAnalysis, is_name,
};
use crate::progress::Progress;
use crate::results::folder::OutputFolder;
use crate::threads;

/// The `type` that results give to a part that was handed over as a value.
const GIVEN: &str = "given";

/// A run put together from values: a model, data, and analyses that share one pass over them. What it finds is handed back;
/// files are written only where an [output folder](Self::output) is asked for.
///
/// It makes no setting of the process. The analyses compute in threads of the run's own, and runs can go on at the same time
/// in several threads. Two things belong to the process all the same, since libtorch has one of each: the number of its
/// threads, which the program sets ([`fmrai_torch::set_threads`], or [`libtorch_threads`](Self::libtorch_threads)); and its
/// random numbers, which each run seeds at its start, so models that draw some in evaluation mode should run one at a time.
///
/// ```no_run
/// use fmrai_core::analyzer::RegisteredConfig;
/// use fmrai_host::plan::Parity;
/// use fmrai_host::run::Run;
/// use fmrai_torch::data::RegisteredDataSource;
/// use fmrai_torch::model::Model;
///
/// # fn example(
/// #     model: Box<dyn Model>,
/// #     texts: Box<dyn RegisteredDataSource>,
/// #     patterns: Box<dyn RegisteredConfig>,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let outcome = Run::new()
///     .model(model)
///     .data_source(texts)
///     .config("patterns", patterns)
///     .parity(Parity::Every)
///     .threads(2)
///     .run()?;
/// assert!(!outcome.outputs_differ());
/// for (name, answer) in &outcome.analyses {
///     match answer {
///         Ok(report) => println!("{name}: {} tables", report.tables.len()),
///         Err(failure) => println!("{name} failed in {}: {}", failure.stage, failure.message),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing runs before `run`"]
pub struct Run {
    model: Option<GivenModel>,
    data: Option<GivenData>,
    analyses: Vec<(String, Given)>,
    parity: Parity,
    threads: Option<usize>,
    libtorch_threads: Option<usize>,
    observers: Vec<Box<dyn Observer + Send>>,
    stop: Box<dyn Fn(u64) -> bool + Send>,
    output: Option<PathBuf>,
    capture: Option<Capture>,
    structure: Option<StructureFile>,
    checkpoint_every: Duration,
    report: bool,
    on_error: OnError,
    limits: Limits,
    device: DeviceChoice,
    resume: bool,
    force: bool,
}

/// An analysis.
enum Given {
    Method(Method),
    Config(Config),
}

impl Default for Run {
    fn default() -> Self {
        Self {
            model: None,
            data: None,
            analyses: Vec::new(),
            parity: Parity::default(),
            threads: None,
            libtorch_threads: None,
            observers: Vec::new(),
            stop: Box::new(|_| false),
            output: None,
            capture: None,
            structure: None,
            checkpoint_every: Duration::from_secs(60),
            report: true,
            on_error: OnError::Stop,
            limits: Limits::default(),
            device: DeviceChoice::default(),
            resume: false,
            force: false,
        }
    }
}

impl Run {
    /// A run without any part.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs this model.
    pub fn model(mut self, model: Box<dyn Model>) -> Self {
        self.model = Some(GivenModel::Loaded(model));
        self
    }

    /// Reads the model from a source, relative paths taken from the current directory.
    pub fn model_source(mut self, source: Box<dyn RegisteredModelSource>) -> Self {
        self.model = Some(GivenModel::Source(source));
        self
    }

    /// Runs on these batches.
    pub fn batches(mut self, batches: Box<dyn Batches + Send>) -> Self {
        self.data = Some(GivenData::Batches(batches));
        self
    }

    /// Reads the data from a source, relative paths taken from the current directory.
    pub fn data_source(mut self, source: Box<dyn RegisteredDataSource>) -> Self {
        self.data = Some(GivenData::Source(source));
        self
    }

    /// Adds an analysis by this analyzer, which has seen nothing yet.
    pub fn analyzer(mut self, name: &str, analyzer: Box<dyn Analyzer>) -> Self {
        self.analyses.push((name.to_owned(), Given::Method(Method::Analyzer(analyzer))));
        self
    }

    /// Adds an analysis by this experiment, which has seen nothing yet.
    pub fn experiment(mut self, name: &str, experiment: Box<dyn Experiment>) -> Self {
        self.analyses.push((name.to_owned(), Given::Method(Method::Experiment(experiment))));
        self
    }

    /// Adds an analysis by an analyzer that follows this config.
    pub fn config(mut self, name: &str, config: Box<dyn RegisteredConfig>) -> Self {
        self.analyses.push((name.to_owned(), Given::Config(Config::Linked(config))));
        self
    }

    /// On which batches the untouched model runs as well; the first where nothing is said.
    pub fn parity(mut self, parity: Parity) -> Self {
        self.parity = parity;
        self
    }

    /// Threads of the analyses, from 1 to 1024; as many as there are cores where nothing is said.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Sets the threads of libtorch too, for the whole process.
    pub fn libtorch_threads(mut self, threads: usize) -> Self {
        self.libtorch_threads = Some(threads);
        self
    }

    /// Shows on stderr how far the run is.
    pub fn progress(mut self) -> Self {
        self.observers.push(Box::new(Progress::new()));
        self
    }

    /// Tells `observer` what happens, on the thread of the run.
    pub fn observer(mut self, observer: impl Observer + Send + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Asks `stop` after each batch and between all other steps, with the number of batches done: true ends the run with
    /// [`RunError::Stopped`], or with [`Error::Interrupted`] where its output folder lets it be resumed.
    pub fn stop(mut self, stop: impl Fn(u64) -> bool + Send + 'static) -> Self {
        self.stop = Box::new(stop);
        self
    }

    /// Corrects the structure that is found, after the file beside the model has.
    pub fn structure(mut self, structure: StructureFile) -> Self {
        self.structure = Some(structure);
        self
    }

    /// Writes results into this folder, as the program does, with checkpoints on the way. Models, data and analyzers that are
    /// values stand in its documents with the type `given`.
    pub fn output(mut self, folder: impl Into<PathBuf>) -> Self {
        self.output = Some(folder.into());
        self
    }

    /// Writes activations into the output folder too.
    pub fn capture(mut self, capture: Capture) -> Self {
        self.capture = Some(capture);
        self
    }

    /// Time between two checkpoints in the output folder; a minute where nothing is said.
    pub fn checkpoint_every(mut self, time: Duration) -> Self {
        self.checkpoint_every = time;
        self
    }

    /// Leaves out `report.html`, the page that shows all results.
    pub fn without_report(mut self) -> Self {
        self.report = false;
        self
    }

    /// What becomes of a record of the data that is refused, a batch that the model fails on, and one that an analysis refuses.
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// What it may take of the machine. What is held by the program around it counts too.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where a model of a source runs, and its inputs with it; a model that is given as a value is where it is, and its inputs go here.
    pub fn device(mut self, device: DeviceChoice) -> Self {
        self.device = device;
        self
    }

    /// Goes on from the checkpoint in the output folder, if there is one. Files of model and data are compared with those of
    /// the earlier run; that values without files are the same is for the caller to see to.
    pub fn resume(mut self) -> Self {
        self.resume = true;
        self
    }

    /// Writes into an output folder that holds something else, and drops the checkpoint of an unfinished run.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Runs it, in threads of its own, and hands back the reports.
    ///
    /// # Errors
    /// [`Error::Run`] for parts that are missing or make no sense, and what else can go wrong in a run. The failure of an
    /// analysis is none, it is told in the [`Outcome`].
    pub fn run(self) -> Result<Outcome<Report>, Error> {
        self.check()?;
        let pool = threads::pool(self.threads)?;
        if let Some(threads) = self.libtorch_threads {
            threads::set_for_libtorch(Some(threads))?;
        }
        pool.install(|| self.execute())
    }

    /// What can be told before anything is done.
    fn check(&self) -> Result<(), RunError> {
        if self.analyses.is_empty() && self.capture.is_none() {
            return Err(RunError::Nothing);
        }
        let asked = [
            (self.capture.is_some(), "a capture"),
            (self.resume, "going on from a checkpoint"),
            (self.force, "replacing what is there"),
        ];
        if let Some((_, what)) = asked.into_iter().find(|(asked, _)| *asked && self.output.is_none()) {
            return Err(RunError::NoOutput { what });
        }
        let mut taken = BTreeSet::new();
        for (name, _) in &self.analyses {
            if !is_name(name) {
                return Err(RunError::Name { name: name.clone() });
            }
            if !taken.insert(name.to_lowercase()) {
                return Err(RunError::Duplicate { name: name.clone() });
            }
        }
        Ok(())
    }

    fn execute(self) -> Result<Outcome<Report>, Error> {
        let stopwatch = Stopwatch::start();
        let model = self.model.ok_or(RunError::Missing { what: "a model" })?;
        let data = self.data.ok_or(RunError::Missing { what: "data" })?;
        let analyses = self.analyses.into_iter().map(|(name, given)| resolved(name, given));
        let analyses = analyses.collect::<Result<Vec<_>, _>>()?;
        let observers: Vec<&dyn Observer> =
            self.observers.iter().map(|observer| &**observer as &dyn Observer).collect();
        let options = Options {
            resume: self.resume,
            force: self.force,
            observers: &observers,
            stop: &*self.stop,
            ..Options::default()
        };
        let document = match &self.output {
            Some(output) => Described {
                model: &model,
                data: &data,
                analyses: &analyses,
                capture: self.capture.as_ref(),
                structure: self.structure.as_ref(),
                output,
                parity: self.parity,
                checkpoint_every: self.checkpoint_every,
                report: self.report,
                on_error: self.on_error,
                limits: self.limits,
                device: self.device,
            }
            .document()?,
            None => Value::Null,
        };
        let device = self.device.device().map_err(|what| Error::Usage(format!("device: {what}")))?;
        let subject = Subject {
            model,
            data,
            base: Path::new(""),
            parity: self.parity,
            device,
            capture: self.capture,
            structure: self.structure,
        };
        let limit = Limit::default();
        let lanes = analyses.into_iter().map(|analysis| Lane::new(analysis, limit.clone())).collect();
        let budget = Budget::new(self.limits.memory)?;
        let on_error = self.on_error;
        let mut start =
            Start { limit, budget, on_error, stopwatch, place: None, lanes, keep: |report| report };
        let Some(output) = self.output else {
            return start.live(subject, &options).map_err(|error| match error {
                Error::Interrupted { batches } => RunError::Stopped { batches }.into(),
                other => other,
            });
        };
        let (mut folder, occupant) = OutputFolder::take(&output, &document, self.resume, self.force)?;
        let checkpoint_every = self.checkpoint_every;
        let report = self.report;
        start.place =
            Some(Place { folder: &mut folder, occupant, document, file: None, checkpoint_every, report });
        let outcome = start.live(subject, &options);
        if outcome.is_err() {
            folder.leave();
        }
        outcome
    }
}

/// An analysis that can run.
fn resolved(name: String, given: Given) -> Result<ResolvedAnalysis, RunError> {
    let (kind, config, method) = match given {
        Given::Method(method) => (GIVEN.to_owned(), Map::new(), method),
        Given::Config(config) => {
            let method = config.build(Path::new(""));
            let method = method.map_err(|source| RunError::Config { analysis: name.clone(), source })?;
            let unwritable = |error: serde_json::Error| RunError::Document {
                what: format!("the config of the analysis {name:?}"),
                message: error.to_string(),
            };
            (config.kind().to_owned(), config.fields().map_err(unwritable)?, method)
        }
    };
    let method = Held::new(method, &format!("the analysis {name:?} ({kind})"));
    Ok(ResolvedAnalysis { name, kind, config, method, later: None })
}

/// What results say of a run that no plan describes.
struct Described<'a> {
    model: &'a GivenModel,
    data: &'a GivenData,
    analyses: &'a [ResolvedAnalysis],
    capture: Option<&'a Capture>,
    structure: Option<&'a StructureFile>,
    output: &'a Path,
    parity: Parity,
    checkpoint_every: Duration,
    report: bool,
    on_error: OnError,
    limits: Limits,
    device: DeviceChoice,
}

impl Described<'_> {
    /// The run as a plan has it.
    fn document(&self) -> Result<Value, RunError> {
        let given = || json!({ "type": GIVEN });
        let mut document = Map::new();
        let mut put = |name: &str, value: Result<Value, serde_json::Error>| -> Result<(), RunError> {
            let fail =
                |e: serde_json::Error| RunError::Document { what: name.to_owned(), message: e.to_string() };
            document.insert(name.to_owned(), value.map_err(fail)?);
            Ok(())
        };
        put("format", Ok(json!(FORMAT)))?;
        put(
            "model",
            match self.model {
                GivenModel::Loaded(_) => Ok(given()),
                GivenModel::Source(source) => serde_json::to_value(source),
            },
        )?;
        put(
            "data",
            match self.data {
                GivenData::Batches(_) => Ok(given()),
                GivenData::Source(source) | GivenData::Every(source, _) => serde_json::to_value(source),
            },
        )?;
        put("analyses", Ok(self.analyses.iter().map(ResolvedAnalysis::document).collect()))?;
        if let Some(capture) = self.capture {
            put("capture", serde_json::to_value(capture))?;
        }
        if let Some(structure) = self.structure {
            put("structure", serde_json::to_value(structure))?;
        }
        put("output", Ok(json!(self.output.display().to_string())))?;
        put("parity", serde_json::to_value(self.parity))?;
        put("checkpoint_seconds", Ok(json!(self.checkpoint_every.as_secs())))?;
        put("report", Ok(json!(self.report)))?;
        if self.on_error != OnError::Stop {
            put("on_error", serde_json::to_value(self.on_error))?;
        }
        if self.limits != Limits::default() {
            put("limits", serde_json::to_value(self.limits))?;
        }
        if self.device != DeviceChoice::default() {
            put("device", serde_json::to_value(self.device))?;
        }
        Ok(Value::Object(document))
    }
}
