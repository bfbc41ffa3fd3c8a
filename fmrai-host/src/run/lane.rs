//! One analysis of a run: its failure is its own.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fmrai_core::analyzer::{AnalyzerError, Method, ModelView, State};
use fmrai_core::batch::Batch;
use fmrai_core::experiment::Bench;
use fmrai_core::report::{Report, Store};
use fmrai_core::tracker::CaptureRequest;
use serde_json::{Map, Value};

use super::limit::Limit;
use crate::calls;
use crate::checkpoint::{Progress, ResumeError};
use crate::held::{Held, PANICKED};
use crate::plan::{Later, OnError, ResolvedAnalysis};

/// An analysis of a run.
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) config: Map<String, Value>,
    pub(super) request: CaptureRequest,
    /// The sweep through the data in which it begins, from 0.
    starts: usize,
    /// How many times it goes through the data.
    sweeps: usize,
    /// What it takes from the results of others before it can begin.
    later: Option<Later>,
    /// Where a checkpoint was, for when it begins.
    stored: Option<Progress>,
    method: Held,
    limit: Limit,
    failure: Option<Failure>,
}

/// In which stage an analysis failed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `config`, `prepare`, `track_batch`, `run_batch`, `next_sweep`, `state`, `analyze`, `report` or `drop`.
    pub stage: String,
    /// Why.
    pub message: String,
}

/// What an analyzer answers; an error or a panic of it as a message.
fn guarded<T>(call: impl FnOnce() -> Result<T, AnalyzerError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(payload) => {
            std::mem::forget(payload); // its own drop may panic too
            Err(PANICKED.to_owned())
        }
    }
}

/// The state of an analysis that waits for the results of others.
fn not_begun() -> State {
    State::new("waits for results", 0, Value::Null)
}

impl Lane {
    /// `limit` is that of the plan, for a call that does not come back.
    pub(super) fn new(analysis: ResolvedAnalysis, limit: Limit) -> Self {
        let ResolvedAnalysis { name, kind, config, method, later } = analysis;
        let request = CaptureRequest::none();
        Self {
            name,
            kind,
            config,
            request,
            starts: 0,
            sweeps: 1,
            later,
            stored: None,
            method,
            limit,
            failure: None,
        }
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    pub(super) fn is_running(&self) -> bool {
        self.failure.is_none()
    }

    pub(super) fn fail(&mut self, stage: &str, message: &str) -> &Failure {
        let message = message.to_owned();
        tracing::warn!(analysis = self.name, stage, message, "an analysis failed; the others go on");
        self.request = CaptureRequest::none();
        self.failure.insert(Failure { stage: stage.to_owned(), message })
    }

    /// Calls the analyzer unless it has failed; an error or panic fails it.
    fn attempt<T>(
        &mut self,
        stage: &str,
        call: impl FnOnce(&mut Method) -> Result<T, AnalyzerError>,
    ) -> Option<T> {
        if self.failure.is_some() {
            return None;
        }
        let who = Arc::clone(self.method.who());
        let method = self.method.get_mut()?;
        let _limited = self.limit.call(stage, &who);
        let said = calls::during(stage, &who, || guarded(|| call(method)));
        said.map_err(|message| {
            self.fail(stage, &message);
        })
        .ok()
    }

    /// Drops the analyzer; a panic in that fails it too, since what else it left undone nobody knows.
    pub(super) fn close(&mut self) {
        let limited = self.limit.call("drop", self.method.who());
        let closed = self.method.close();
        drop(limited);
        match closed {
            Err(message) if self.failure.is_none() => {
                self.fail("drop", &message);
            }
            // What failed before says more.
            Err(message) => tracing::warn!(analysis = self.name, message, "its end failed as well"),
            Ok(()) => {}
        }
    }

    pub(super) fn prepare(&mut self, model: &ModelView<'_>) {
        if self.waits() {
            return;
        }
        if let Some(request) = self.attempt("prepare", |m| m.prepare(model)) {
            self.request = request;
        }
        let sweeps = |method: &mut Method| match method {
            Method::Analyzer(_) => Ok(1),
            Method::Experiment(experiment) => Ok(experiment.sweeps().max(1)),
        };
        self.sweeps = self.attempt("prepare", sweeps).unwrap_or(1);
    }

    /// True if it waits for the results of others.
    pub(super) fn waits(&self) -> bool {
        self.later.is_some() && self.is_running()
    }

    /// How many sweeps through the data have to be over when it has seen everything; `None` while it waits for others.
    pub(super) fn ends(&self) -> Option<usize> {
        match (self.waits(), self.is_running()) {
            (true, _) => None,
            (false, true) => Some(self.starts + self.sweeps),
            (false, false) => Some(1),
        }
    }

    /// How many times it goes through the data.
    pub(super) fn sweeps(&self) -> usize {
        if self.is_running() { self.sweeps } else { 1 }
    }

    /// The analyses of the plan whose results it waits for.
    pub(super) fn needs(&self) -> Vec<String> {
        let references = self.later.iter().flat_map(|later| &later.references);
        let of_plan = references.filter(|reference| reference.spec.run.is_none());
        of_plan.map(|reference| reference.spec.from.clone()).collect()
    }

    /// Makes the method of what the results of others say, to begin in this sweep. A state that a checkpoint had is taken up.
    pub(super) fn begin_with(
        &mut self,
        results: &BTreeMap<String, Result<Report, String>>,
        sweep: usize,
        model: &ModelView<'_>,
    ) -> Result<(), ResumeError> {
        let Some(later) = self.later.take() else { return Ok(()) };
        self.starts = sweep;
        match later.method(results) {
            Ok((config, method)) => {
                self.config = config;
                self.method = Held::new(method, &Arc::clone(self.method.who()));
                self.prepare(model);
            }
            Err(message) => {
                self.fail("config", &message);
            }
        }
        match self.stored.take() {
            Some(stored) if self.is_running() => self.restore(&stored),
            _ => Ok(()),
        }
    }

    /// True if it is to see the batches of this sweep, from 0.
    pub(super) fn looks_in(&self, sweep: usize) -> bool {
        self.is_running() && !self.waits() && (self.starts..self.starts + self.sweeps).contains(&sweep)
    }

    /// Tells it that this sweep has ended, if it is to see the next one.
    pub(super) fn next_sweep(&mut self, ended: usize) {
        if self.waits() || ended < self.starts || ended + 1 >= self.starts + self.sweeps {
            return;
        }
        self.attempt("next_sweep", |method| match method {
            Method::Analyzer(_) => Ok(()),
            Method::Experiment(experiment) => experiment.next_sweep(),
        });
    }

    /// True if the method runs the model itself.
    pub(super) fn drives_model(&self) -> bool {
        matches!(self.method.get(), Some(Method::Experiment(_)))
    }

    /// Shows the batch to a method that observes. Where batches may be skipped, one that it refuses is told instead of failing it, if
    /// it is an error and no panic.
    pub(super) fn track_batch(&mut self, batch: &Batch<'_>, on_error: OnError) -> Option<String> {
        self.absorb("track_batch", on_error, |method| match method {
            Method::Analyzer(analyzer) => analyzer.track_batch(batch),
            Method::Experiment(_) => Ok(()),
        })
    }

    /// Gives the batch to a method that runs the model itself; as [`track_batch`](Self::track_batch).
    pub(super) fn run_batch(
        &mut self,
        batch: &Batch<'_>,
        bench: &mut dyn Bench,
        on_error: OnError,
    ) -> Option<String> {
        self.absorb("run_batch", on_error, |method| match method {
            Method::Analyzer(_) => Ok(()),
            Method::Experiment(experiment) => experiment.run_batch(batch, bench),
        })
    }

    /// Calls a method on a batch, and gives its refusal where it goes on without that. By the contract an error leaves no trace; a panic may.
    fn absorb(
        &mut self,
        stage: &str,
        on_error: OnError,
        call: impl FnOnce(&mut Method) -> Result<(), AnalyzerError>,
    ) -> Option<String> {
        let mut refusal = None;
        let skips = on_error == OnError::Skip;
        self.attempt(stage, |method| match call(method) {
            Err(error) if skips => {
                refusal = Some(error.to_string());
                Ok(())
            }
            other => other,
        });
        refusal
    }

    pub(super) fn progress(&mut self) -> Progress {
        if self.waits() {
            return Progress::Running(not_begun());
        }
        if let Some(state) = self.attempt("state", |m| m.analysis().state()) {
            return Progress::Running(state);
        }
        let failure = self.failure.clone();
        let failure = failure.unwrap_or_else(|| Failure { stage: String::new(), message: String::new() });
        Progress::Failed(failure.stage, failure.message)
    }

    /// What can be queried already. Whether it is asked depends on the clock.
    pub(super) fn interim(&self) -> Option<Store> {
        let failed = "it has nothing to query yet; the run goes on";
        self.aside("interim", failed, |method| method.analysis().interim()).flatten()
    }

    /// Bytes of memory that it may take beyond what it holds now. It is asked where memory is limited.
    pub(super) fn bytes_ahead(&self) -> u64 {
        let failed = "it does not tell how much memory it will take; the run goes on";
        self.aside("bytes_ahead", failed, |method| Ok(method.analysis().bytes_ahead())).unwrap_or(0)
    }

    /// Asks the analyzer something that its results do not depend on: a failure of this is told, and is no failure of the analysis.
    fn aside<T>(
        &self,
        stage: &str,
        failed: &str,
        call: impl FnOnce(&Method) -> Result<T, AnalyzerError>,
    ) -> Option<T> {
        let who = self.method.who();
        let method = self.method.get().filter(|_| self.is_running())?;
        let _limited = self.limit.call(stage, who);
        let said = calls::during(stage, who, || guarded(|| call(method)));
        said.map_err(|message| tracing::warn!(analysis = self.name, message, "{failed}")).ok()
    }

    /// Goes on from where a checkpoint was.
    pub(super) fn restore(&mut self, progress: &Progress) -> Result<(), ResumeError> {
        match progress {
            Progress::Failed(stage, message) => {
                self.fail(stage, message);
            }
            Progress::Running(state) if *state == not_begun() => {}
            Progress::Running(_) if self.waits() => self.stored = Some(progress.clone()),
            Progress::Running(state) => {
                self.attempt("merge", |m| m.analysis_mut().merge(state));
                if let Some(Failure { message, .. }) = self.failure.take_if(|f| f.stage == "merge") {
                    return Err(ResumeError::Refused { analysis: self.name.clone(), message });
                }
            }
        }
        Ok(())
    }

    pub(super) fn analyze(&mut self) -> Option<Report> {
        self.attempt("analyze", |m| m.analysis().analyze())
    }
}
