//! The analysis: its runs, and what it makes of them.

use fmrai_core::analyzer::{Analysis, AnalyzerError, ModelView, State};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::experiment::{Axis, Bench, Change, Edit, Experiment, Objective, Sites, Variant};
use fmrai_core::graph::TensorId;
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;

use super::config::PathPatchingConfig;
use super::found::Found;
use super::part::heads_of;
use super::paths::{Paths, Reading, Rows, Sending};
use super::report;
use crate::activation_patching::Direction;
use crate::pairs::pairs_of;
use crate::patching::{Totals, aligned, too_close};
use crate::sites::logits_of;

const NAME: &str = "path_patching";

/// Senders whose values are held at a time.
const AT_ONCE: usize = 32;

/// Patches paths from senders to receivers.
pub struct PathPatching {
    config: PathPatchingConfig,
    model: Option<(TensorId, Paths)>,
    found: Found,
    totals: Totals,
}

impl PathPatching {
    pub(super) fn new(config: PathPatchingConfig) -> Self {
        Self { config, model: None, found: Found::default(), totals: Totals::default() }
    }
}

/// What is sent.
#[derive(Clone, Copy)]
enum What {
    One(Sending),
    All,
}

impl What {
    fn sent(self, paths: &Paths, reading: Option<&Reading>, rows: &Rows) -> Variant {
        match self {
            Self::One(sender) => paths.sent(sender, reading, rows),
            Self::All => paths.all_sent(reading, rows),
        }
    }

    fn reaches(self, paths: &Paths, reading: &Reading) -> bool {
        match self {
            Self::One(sender) => paths.reaches(sender, reading),
            Self::All => paths.senders().into_iter().any(|sender| paths.reaches(sender, reading)),
        }
    }
}

/// The metric of each pair for each of what is sent; `None` where it can reach no receiver.
fn measured(
    paths: &Paths,
    whats: &[What],
    rows: &Rows,
    objective: &Objective,
    bench: &mut dyn Bench,
) -> Result<Vec<Option<Vec<f64>>>, AnalyzerError> {
    let objectives = std::slice::from_ref(objective);
    if paths.readings.is_empty() {
        let variants: Vec<Variant> = whats.iter().map(|what| what.sent(paths, None, rows)).collect();
        let values = bench.measure(&variants, objectives)?;
        return Ok(values.into_iter().map(|mut of| of.pop()).collect());
    }
    let mut all = Vec::with_capacity(whats.len());
    for whats in whats.chunks(AT_ONCE) {
        // What the receivers read, as edits of the run that is measured.
        let mut received: Vec<Vec<Edit>> = vec![Vec::new(); whats.len()];
        for reading in &paths.readings {
            let reached: Vec<usize> =
                (0..whats.len()).filter(|at| whats[*at].reaches(paths, reading)).collect();
            if reached.is_empty() {
                continue;
            }
            let sites = reading.sites();
            let variants: Vec<Variant> =
                reached.iter().map(|at| whats[*at].sent(paths, Some(reading), rows)).collect();
            for (at, values) in reached.iter().zip(bench.read_all(&variants, &sites)?) {
                for ((site, heads), value) in sites.iter().zip(reading.heads()).zip(values) {
                    let value = heads_of(value, &site.layout, heads)?;
                    let edit = Edit::new(site.clone(), Change::Set(value));
                    received[*at].push(if heads.is_empty() { edit } else { edit.at(Axis::Head, heads) });
                }
            }
        }
        let reached: Vec<bool> = received.iter().map(|edits| !edits.is_empty()).collect();
        let variants: Vec<Variant> = received
            .into_iter()
            .filter(|edits| !edits.is_empty())
            .map(|edits| Variant { rows: rows.runs.clone(), edits })
            .collect();
        let values = if variants.is_empty() { Vec::new() } else { bench.measure(&variants, objectives)? };
        let mut values = values.into_iter();
        all.extend(
            reached.iter().map(
                |reached| {
                    if *reached { values.next().and_then(|mut of| of.pop()) } else { None }
                },
            ),
        );
    }
    Ok(all)
}

impl Experiment for PathPatching {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let logits = logits_of(model)?;
        let paths = Paths::of(model, &self.config)?;
        self.found = Found::new(&Sites::of(model.graph, model.structure), &self.config.senders);
        self.model = Some((logits, paths));
        Ok(CaptureRequest::none())
    }

    fn accepts(&self, samples: &[Sample]) -> Result<(), AnalyzerError> {
        aligned(&pairs_of(samples)?)
    }

    fn passes(&self, _: &[Sample]) -> f64 {
        let Some((_, paths)) = &self.model else { return 0.0 };
        let senders = paths.senders();
        let of = |sender: &Sending| {
            let reads = paths.readings.iter().filter(|reading| paths.reaches(*sender, reading)).count();
            if paths.readings.is_empty() { 1 } else { reads + usize::from(reads > 0) }
        };
        let runs: usize = senders.iter().map(of).sum::<usize>() + paths.readings.len() + 1;
        // Half of the rows each; measuring both texts, and what is taken from them.
        runs as f64 / 2.0 + 2.0
    }

    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let Some((logits, paths)) = &self.model else { return Ok(()) };
        let pairs = pairs_of(batch.samples())?;
        aligned(&pairs)?;
        let objective = self.config.metric.objective(*logits, batch.samples())?;
        let (clean, corrupted): (Vec<_>, Vec<_>) = pairs.iter().map(|p| (p.clean, p.corrupted)).unzip();
        let rows = match self.config.direction {
            Direction::Denoise => Rows { runs: corrupted, source: clean },
            Direction::Noise => Rows { runs: clean, source: corrupted },
        };
        let everything = Variant::clean((0..batch.samples().len()).collect::<Vec<_>>());
        let own = bench.measure(&[everything], std::slice::from_ref(&objective))?;
        let own = own.into_iter().flatten().next().unwrap_or_default();
        let senders = paths.senders();
        let whats: Vec<What> = senders.iter().map(|sender| What::One(*sender)).chain([What::All]).collect();
        let values = measured(paths, &whats, &rows, &objective, bench)?;
        for pair in &pairs {
            self.totals.add(own[pair.clean], own[pair.corrupted]);
        }
        for (what, values) in whats.iter().zip(values) {
            for pair in 0..pairs.len() {
                let (base, source) = (own[rows.runs[pair]], own[rows.source[pair]]);
                let value = values.as_ref().map_or(base, |values| values[pair]);
                let share = (!too_close(base, source)).then(|| (value - base) / (source - base));
                let (part, cell) = match what {
                    What::One(sender) => self.found.of_sender(*sender),
                    What::All => (&mut self.found.all, 0),
                };
                part.add(cell, value, value - base, share);
            }
        }
        Ok(())
    }
}

impl Analysis for PathPatching {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new(NAME, 1, serde_json::json!({}));
        self.totals.put(&mut state)?;
        self.found.put(&mut state)?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, 1)?;
        let (totals, found) = (Totals::get(state)?, self.found.load(state)?);
        self.totals.merge(&totals);
        self.found.merge(&found);
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.config, &self.found, &self.totals)
    }
}
