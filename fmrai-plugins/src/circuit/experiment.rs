//! The analysis: what it measures in each sweep.

use fmrai_core::analyzer::{Analysis, AnalyzerError, ModelView, State};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::experiment::{Bench, Experiment, Variant};
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;

use super::config::{CircuitConfig, Method};
use super::evaluate::evaluate;
use super::found::Found;
use super::removal::Removal;
use super::report;
use super::runs::{PairedRows, Runs};
use super::scores::{by_gradients, one_by_one};
use super::search;
use super::select::size_of;
use super::sums::{Sums, Sweeps};
use super::wiring::Wiring;
use crate::pairs::pairs_of;
use crate::patching::aligned;

/// Searches for the circuit of a behaviour.
pub struct CircuitSearch {
    config: CircuitConfig,
    wiring: Option<Wiring>,
    sweeps: Sweeps,
    /// What the sweep that runs is about.
    task: Option<Task>,
}

/// What a sweep is about.
#[derive(Debug, Clone, PartialEq)]
enum Task {
    /// Scores of all edges.
    Scores,
    /// The metric of these circuits.
    Circuits(Vec<Vec<bool>>),
    /// Nothing more.
    Nothing,
}

impl CircuitSearch {
    pub(super) fn new(config: CircuitConfig) -> Self {
        Self { config, wiring: None, sweeps: Sweeps::default(), task: None }
    }

    /// What the sweep that runs is about. It follows from the sweeps before.
    fn task(&self, wiring: &Wiring) -> Task {
        let ended = &self.sweeps.ended;
        let circuits = |circuits: Vec<Vec<bool>>| match circuits.is_empty() {
            true => Task::Nothing,
            false => Task::Circuits(circuits),
        };
        if self.config.method == Method::Acdc {
            let removal = Removal::after(&wiring.graph, ended, self.config.tau, self.config.metric);
            let trials = removal.trials(&wiring.graph).into_iter().map(|trial| trial.circuit);
            let pruned = trials.map(|mut circuit| {
                wiring.graph.prune(&mut circuit);
                circuit
            });
            return circuits(pruned.collect());
        }
        if ended.is_empty() {
            return Task::Scores;
        }
        let found = Found::of(&self.config, &wiring.graph, ended);
        circuits(found.next.iter().map(|size| found.circuit(&wiring.graph, *size)).collect())
    }
}

impl Experiment for CircuitSearch {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let wiring = Wiring::of(model)?;
        if self.config.method == Method::EapIg && wiring.embedding.is_none() {
            return Err(AnalyzerError::Unsuitable {
                found: "no token embedding".to_owned(),
                needed: "token embeddings, which gradients are integrated along".to_owned(),
            });
        }
        self.wiring = Some(wiring);
        Ok(CaptureRequest::none())
    }

    fn accepts(&self, samples: &[Sample]) -> Result<(), AnalyzerError> {
        aligned(&pairs_of(samples)?)
    }

    fn passes(&self, _: &[Sample]) -> f64 {
        let Some(wiring) = &self.wiring else { return 0.0 };
        let (edges, layers) = (wiring.graph.edges.len() as f64, wiring.layers.len() as f64);
        let destinations = wiring.graph.destinations.len() as f64;
        // Rows of one text of each pair. A circuit runs every layer by itself, and each destination in it that reads something of its own.
        let circuit = 0.5 * (destinations + 3.0 * layers + 1.0);
        let sizes = self.config.fractions.len() as f64 * circuit;
        // A backward pass for each destination goes through one layer.
        let gradients = 1.5 + 0.5 * destinations / layers.max(1.0);
        // Those of all sweeps, as the clean passes come again.
        2.0 + match self.config.method {
            Method::Acdc => edges * circuit,
            Method::Exact => edges + sizes,
            Method::Eap => gradients + sizes,
            Method::EapIg => self.config.steps as f64 * gradients + sizes,
        }
    }

    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let Some(wiring) = &self.wiring else { return Ok(()) };
        let task = self.task.take().unwrap_or_else(|| self.task(wiring));
        let found = absorb(wiring, &self.config, &task, batch, bench);
        self.task = Some(task);
        self.sweeps.current.add(&found?);
        Ok(())
    }

    fn sweeps(&self) -> usize {
        let Some(wiring) = &self.wiring else { return 1 };
        let edges = wiring.graph.edges.len();
        if self.config.method == Method::Acdc {
            // Each one decides at least one edge.
            return edges;
        }
        let sizes: Vec<usize> =
            self.config.fractions.iter().map(|fraction| size_of(*fraction, edges)).collect();
        2 + self.config.faithfulness.map_or(0, |_| search::sweeps(&sizes, edges))
    }

    fn next_sweep(&mut self) -> Result<(), AnalyzerError> {
        let first = self.sweeps.ended.is_empty();
        if first && self.sweeps.current.pairs == 0.0 {
            return Err(none());
        }
        self.sweeps.end();
        self.task = None;
        Ok(())
    }
}

fn none() -> AnalyzerError {
    AnalyzerError::NotEnoughData { found: "no pair of texts".to_owned(), needed: "at least one".to_owned() }
}

/// What a batch gives to the sums of a sweep.
fn absorb(
    wiring: &Wiring,
    config: &CircuitConfig,
    task: &Task,
    batch: &Batch<'_>,
    bench: &mut dyn Bench,
) -> Result<Sums, AnalyzerError> {
    if *task == Task::Nothing {
        return Ok(Sums::default());
    }
    let pairs = pairs_of(batch.samples())?;
    aligned(&pairs)?;
    let objective = config.metric.objective(wiring.logits, batch.samples())?;
    let rows = PairedRows::of(&pairs);
    let everything = Variant::clean((0..batch.samples().len()).collect::<Vec<_>>());
    let own = bench.measure(&[everything], std::slice::from_ref(&objective))?;
    let own = own.into_iter().flatten().next().unwrap_or_default();
    let of = |rows: &[usize]| -> Vec<f64> { rows.iter().map(|row| own[*row]).collect() };
    let (clean, corrupted) = (of(&rows.clean), of(&rows.corrupted));
    let runs = Runs::read(wiring, &rows, bench)?;
    let values = match task {
        Task::Nothing => Vec::new(),
        Task::Scores => {
            let differences = runs.differences(wiring)?;
            runs.check(wiring, &rows, &differences)?;
            let gradients = |steps, bench: &mut dyn Bench| {
                by_gradients(wiring, &rows, &differences, &objective, steps, bench)
            };
            match config.method {
                Method::EapIg => gradients(Some(config.steps), bench)?,
                Method::Exact => one_by_one(wiring, &runs, &rows, &differences, &clean, &objective, bench)?,
                Method::Eap | Method::Acdc => gradients(None, bench)?,
            }
        }
        Task::Circuits(circuits) => {
            let measured = evaluate(wiring, &runs, &rows, circuits, &objective, bench)?;
            measured.iter().map(|values| values.iter().sum()).collect()
        }
    };
    Ok(Sums {
        pairs: pairs.len() as f64,
        clean: clean.iter().sum(),
        corrupted: corrupted.iter().sum(),
        values,
    })
}

impl Analysis for CircuitSearch {
    fn state(&self) -> Result<State, AnalyzerError> {
        Ok(self.sweeps.state()?)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        let other = Sweeps::of(state)?;
        self.sweeps.merge(&other)?;
        self.task = None;
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        let wiring = self.wiring.as_ref().ok_or_else(none)?;
        let all: Vec<Sums> = self.sweeps.ended.iter().chain([&self.sweeps.current]).cloned().collect();
        if all.first().is_none_or(|sums| sums.pairs == 0.0) {
            return Err(none());
        }
        report::report(&self.config, wiring, &Found::of(&self.config, &wiring.graph, &all))
    }
}
