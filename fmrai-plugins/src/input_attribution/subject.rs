//! What is attributed in a batch.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Sample;
use fmrai_core::experiment::{Answer, Bench, Layout, Measure, Objective, Place, Site, Variant};
use fmrai_core::graph::TensorId;

use super::config::{InputAttributionConfig, Target, Which};
use crate::metric::Metric;
use crate::pairs::{answer_position, pairs_of};
use crate::token_values::TokenValues;

/// The texts of a batch that are attributed, and what is measured of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Subjects {
    /// Rows of the batch.
    pub(super) rows: Vec<usize>,
    pub(super) objective: Objective,
    /// For each row of the batch what it is about, where that is known: the right and the wrong tokens.
    pub(super) answers: Vec<Answer>,
    /// Texts that are too short.
    pub(super) short: usize,
}

impl Subjects {
    /// Of a batch. `logits_at_once` is how many rows of logits may be read together.
    pub(super) fn of(
        config: &InputAttributionConfig,
        samples: &[Sample],
        logits: TensorId,
        logits_at_once: usize,
        bench: &mut dyn Bench,
    ) -> Result<Self, AnalyzerError> {
        if is_pairs(samples) {
            return Self::of_pairs(config, samples, logits);
        }
        compares_nothing(config.metric)?;
        let least = if config.target == Target::LastToken { 2 } else { 1 };
        let long = |row: &usize| answer_position(&samples[*row]) + 1 >= samples[*row].span.start + least;
        let rows: Vec<usize> =
            (0..samples.len()).filter(|row| samples[*row].token_ids.len() >= least).filter(long).collect();
        let mut answers: Vec<Answer> = samples
            .iter()
            .map(|sample| Answer { position: answer_position(sample), right: Vec::new(), wrong: Vec::new() })
            .collect();
        match config.target {
            Target::LastToken => {
                for row in &rows {
                    let answer = &mut answers[*row];
                    let token = answer.position - samples[*row].span.start;
                    answer.right.extend(samples[*row].token_ids.get(token));
                    answer.position -= 1;
                }
            }
            Target::Prediction => {
                for part in rows.chunks(logits_at_once.max(1)) {
                    predicted(part, logits, &mut answers, bench)?;
                }
            }
        }
        let measured = answers.clone();
        let measure = match config.metric {
            Metric::Probability => Measure::Probability(measured),
            Metric::Loss => Measure::Loss(measured),
            Metric::LogitDifference | Metric::Kl => Measure::LogitDifference(measured),
        };
        let short = samples.len() - rows.len();
        Ok(Self { rows, objective: Objective::of_logits(logits, measure), answers, short })
    }

    /// What is wrong with samples, as far as it shows without a pass.
    pub(super) fn check(
        config: &InputAttributionConfig,
        samples: &[Sample],
        logits: TensorId,
    ) -> Result<(), AnalyzerError> {
        match is_pairs(samples) {
            true => Self::of_pairs(config, samples, logits).map(|_| ()),
            false => compares_nothing(config.metric),
        }
    }

    fn of_pairs(
        config: &InputAttributionConfig,
        samples: &[Sample],
        logits: TensorId,
    ) -> Result<Self, AnalyzerError> {
        let pairs = pairs_of(samples)?;
        let row = |pair: &crate::pairs::PairRows<'_>| match config.of {
            Which::Clean => pair.clean,
            Which::Corrupted => pair.corrupted,
        };
        let answer = |sample: &Sample| {
            let pair = sample.pair.as_ref();
            let tokens =
                |of: fn(&fmrai_core::batch::Pair) -> &Vec<u32>| pair.map(of).cloned().unwrap_or_default();
            Answer {
                position: answer_position(sample),
                right: tokens(|pair| &pair.right),
                wrong: tokens(|pair| &pair.wrong),
            }
        };
        Ok(Self {
            rows: pairs.iter().map(row).collect(),
            objective: config.metric.objective(logits, samples)?,
            answers: samples.iter().map(answer).collect(),
            short: 0,
        })
    }
}

fn is_pairs(samples: &[Sample]) -> bool {
    samples.iter().any(|sample| sample.pair.is_some())
}

/// Refuses a metric that compares two texts.
fn compares_nothing(metric: Metric) -> Result<(), AnalyzerError> {
    if metric != Metric::Kl {
        return Ok(());
    }
    let (found, needed) = ("single texts", "pairs of texts for the metric kl: data of the type `pairs`");
    Err(AnalyzerError::UnsuitableData { found: found.to_owned(), needed: needed.to_owned() })
}

/// Sets the most probable next tokens of these rows.
fn predicted(
    rows: &[usize],
    logits: TensorId,
    answers: &mut [Answer],
    bench: &mut dyn Bench,
) -> Result<(), AnalyzerError> {
    let site = Site { place: Place::Tensor(logits), layout: Layout::stream() };
    let Some(value) = bench.read(&Variant::clean(rows), std::slice::from_ref(&site))?.pop() else {
        return Ok(());
    };
    let logits = TokenValues::of(&site, value)?;
    for (at, row) in rows.iter().enumerate() {
        let scores = logits.at(at, 0, answers[*row].position);
        let best = (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        answers[*row].right = best.and_then(|token| u32::try_from(token).ok()).into_iter().collect();
    }
    Ok(())
}
