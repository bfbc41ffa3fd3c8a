//! The runs of a batch, and what is kept of them.

use fmrai_core::analyzer::{Analysis, AnalyzerError, ModelView, State};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::experiment::{Bench, Experiment, Measure, Objective, Sites, Variant};
use fmrai_core::graph::TensorId;
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;

use super::config::{AblationConfig, With};
use super::effects::Effect;
use super::found::Found;
use super::means::TokenMeans;
use super::replacement::{Replacement, others, random, variant};
use super::report;
use super::targets::{Target, Targets};
use crate::next_token::{next_token_logits, next_tokens};
use crate::pairs::pairs_of;
use crate::token_values::TokenValues;

/// The ablation analysis.
#[derive(Debug, Clone)]
pub struct Ablation {
    config: AblationConfig,
    logits: Option<TensorId>,
    targets: Targets,
    found: Found,
}

/// The rows of a batch that are run.
struct Runs<'a> {
    rows: Vec<usize>,
    samples: Vec<&'a Sample>,
    left_out: usize,
}

impl Ablation {
    pub(super) fn new(config: AblationConfig) -> Self {
        Self { config, logits: None, targets: Targets::default(), found: Found::default() }
    }

    /// True where the means over the data are not known yet.
    fn collects(&self) -> bool {
        self.config.with == With::Mean && self.found.sweep == 0
    }

    /// The texts that count: the clean ones of pairs, all others.
    fn runs<'a>(&self, samples: &'a [Sample]) -> Result<Runs<'a>, AnalyzerError> {
        let pairs = samples.iter().any(|sample| sample.pair.is_some());
        let rows: Vec<usize> = match pairs || self.config.metric.is_some() {
            true => pairs_of(samples)?.iter().map(|pair| pair.clean).collect(),
            false => (0..samples.len()).collect(),
        };
        let all = rows.len();
        let needed = if self.collects() { 1 } else { 2 };
        let mut rows: Vec<usize> =
            rows.into_iter().filter(|row| samples[*row].token_ids.len() >= needed).collect();
        if self.config.with == With::Resample && rows.len() < 2 {
            rows.clear();
        }
        let left_out = all - rows.len();
        Ok(Runs { samples: rows.iter().map(|row| &samples[*row]).collect(), rows, left_out })
    }

    /// What the sites hold in the clean run of these rows.
    fn values(&self, rows: &[usize], bench: &mut dyn Bench) -> Result<Vec<TokenValues>, AnalyzerError> {
        let sites = &self.targets.sites;
        let values = bench.read(&Variant::clean(rows), sites)?;
        sites.iter().zip(values).map(|(site, value)| TokenValues::of(site, value)).collect()
    }

    /// The variants of a batch: the clean run, then one for each draw and target.
    fn variants(
        &self,
        runs: &Runs<'_>,
        bench: &mut dyn Bench,
    ) -> Result<(Vec<Variant>, usize), AnalyzerError> {
        let AblationConfig { with, keep_patterns, draws, seed, .. } = &self.config;
        let mut variants = vec![Variant::clean(runs.rows.as_slice())];
        let mut add = |replacement: &Replacement<'_>| -> Result<(), AnalyzerError> {
            for target in self.replaced() {
                variants.push(variant(&self.targets, target, &runs.rows, replacement, *keep_patterns)?);
            }
            Ok(())
        };
        let mut resampled = 0;
        match with {
            With::Zero => add(&Replacement::Zero)?,
            With::Mean => add(&Replacement::Mean(&self.found.means))?,
            With::Resample => {
                let values = self.values(&runs.rows, bench)?;
                let mut random = random(*seed, runs.samples.first().map_or(0, |sample| sample.id));
                for _ in 0..*draws {
                    let from = others(runs.rows.len(), &mut random);
                    let samples = &runs.samples;
                    let shared = |(row, other): (usize, &usize)| {
                        samples[row].span.len().min(samples[*other].span.len())
                    };
                    resampled += from.iter().enumerate().map(shared).sum::<usize>();
                    add(&Replacement::Other { values: &values, samples, from: &from })?;
                }
            }
        }
        Ok((variants, resampled))
    }

    fn collect(&mut self, runs: &Runs<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let values = self.values(&runs.rows, bench)?;
        let tokens: Vec<(usize, usize)> = runs
            .samples
            .iter()
            .enumerate()
            .flat_map(|(row, sample)| sample.span.clone().map(move |position| (row, position)))
            .collect();
        self.found.means.merge(&TokenMeans::of(&values, &tokens))
    }

    /// The targets that replace something; where nothing is replaced, the clean run is the ablated one.
    fn replaced(&self) -> impl Iterator<Item = &Target> {
        self.targets.targets.iter().filter(|target| !target.parts.is_empty())
    }

    fn draws(&self) -> usize {
        if self.config.with == With::Resample { self.config.draws } else { 1 }
    }
}

impl Experiment for Ablation {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let sites = Sites::of(model.graph, model.structure);
        self.logits = Some(next_token_logits(model, &sites)?);
        self.targets = Targets::of(model, &sites, &self.config)?;
        self.found = Found { added: vec![Effect::default(); self.targets.targets.len()], ..Found::default() };
        Ok(CaptureRequest::none())
    }

    fn accepts(&self, samples: &[Sample]) -> Result<(), AnalyzerError> {
        self.runs(samples)?;
        if let (Some(metric), Some(logits)) = (self.config.metric, self.logits) {
            metric.objective(logits, samples)?;
        }
        Ok(())
    }

    fn passes(&self, samples: &[Sample]) -> f64 {
        let rows = self.runs(samples).map_or(0, |runs| runs.rows.len());
        let variants = 1 + self.draws() * self.replaced().count();
        let reads = usize::from(self.config.with != With::Zero || self.config.keep_patterns);
        ((variants + reads) * rows) as f64 / samples.len().max(1) as f64
    }

    fn sweeps(&self) -> usize {
        if self.config.with == With::Mean { 2 } else { 1 }
    }

    fn next_sweep(&mut self) -> Result<(), AnalyzerError> {
        if self.found.means.is_empty() {
            return Err(AnalyzerError::NotEnoughData {
                found: "no text with a token".to_owned(),
                needed: "at least one, for the mean over tokens".to_owned(),
            });
        }
        self.found.sweep += 1;
        Ok(())
    }

    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let Some(logits) = self.logits else { return Ok(()) };
        let samples = batch.samples();
        if samples.iter().all(|sample| sample.token_ids.is_empty()) && !samples.is_empty() {
            return Err(AnalyzerError::Unsuitable {
                found: "samples without tokens".to_owned(),
                needed: "texts, since the loss is that of their next tokens".to_owned(),
            });
        }
        let runs = self.runs(samples)?;
        if self.collects() {
            return if runs.rows.is_empty() { Ok(()) } else { self.collect(&runs, bench) };
        }
        if runs.rows.is_empty() {
            self.found.left_out += runs.left_out as f64;
            return Ok(());
        }
        let next = samples.iter().map(next_tokens).collect();
        let mut objectives = vec![Objective::of_logits(logits, Measure::NextToken(next))];
        if let Some(metric) = self.config.metric {
            objectives.push(metric.objective(logits, samples)?);
        }
        let (variants, resampled) = self.variants(&runs, bench)?;
        let measured = bench.measure(&variants, &objectives)?;
        let Some((base, ablated)) = measured.split_first() else { return Ok(()) };
        let replaced = self.replaced().count();
        // Of each target, its place among those that replace something.
        let mut next = 0..;
        let places: Vec<Option<usize>> = self
            .targets
            .targets
            .iter()
            .map(|target| if target.parts.is_empty() { None } else { next.next() })
            .collect();
        let found = &mut self.found;
        for (row, sample) in runs.samples.iter().enumerate() {
            let tokens = sample.token_ids.len() - 1;
            let metric = |of: &[Vec<f64>]| of.get(1).map(|metric| metric[row]);
            found.base.add(base[0][row], tokens, metric(base));
            for (place, added) in places.iter().zip(&mut found.added) {
                let Some(place) = place else {
                    added.add(0.0, tokens, metric(base).map(|_| 0.0));
                    continue;
                };
                // The draws of a text are one number of it: only texts are independent.
                let draws: Vec<&Vec<Vec<f64>>> = ablated.iter().skip(*place).step_by(replaced).collect();
                let mean = |of: &dyn Fn(&[Vec<f64>]) -> f64| {
                    draws.iter().map(|draw| of(draw)).sum::<f64>() / draws.len() as f64
                };
                let loss = mean(&|of| of[0][row] - base[0][row]);
                let metric = metric(base).map(|base| mean(&|of| metric(of).unwrap_or(f64::NAN) - base));
                added.add(loss, tokens, metric);
            }
            found.positions += sample.span.len() as f64;
        }
        found.left_out += runs.left_out as f64;
        found.resampled += resampled as f64 / self.config.draws.max(1) as f64;
        Ok(())
    }
}

impl Analysis for Ablation {
    fn state(&self) -> Result<State, AnalyzerError> {
        Ok(self.found.state()?)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        let other = Found::of(state, &self.targets)?;
        self.found.merge(&other)
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.config, &self.targets, &self.found)
    }
}
