//! The analysis: what it runs, and what it makes of that.

use std::collections::BTreeMap;

use fmrai_core::analyzer::{Analysis, AnalyzerError, ModelView, State};
use fmrai_core::batch::{Batch, Sample, TOKENS};
use fmrai_core::experiment::{Bench, Experiment};
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;
use serde_json::json;

use super::analysis::InputAttribution;
use super::config::{InputAttributionConfig, Method};
use super::integral::Steps;
use super::kept::{Kept, Numbers, Text};
use super::passes::{Local, Passes, of_gradient};
use super::report;
use super::rollout::rollout;
use super::start::Start;
use super::subject::Subjects;
use super::totals::Totals;
use crate::attention::{BatchAttention, HeadLayout};
use crate::pieces::pieces;
use crate::sites::logits_of;
use fmrai_core::sequences::recorded_shape;

const NAME: &str = "input_attribution";

impl InputAttribution {
    fn has(&self, method: Method) -> bool {
        self.config.methods.contains(&method)
    }

    fn differentiates(&self) -> bool {
        self.config.methods.iter().any(|method| *method != Method::Rollout)
    }

    fn steps(&self) -> Steps {
        let InputAttributionConfig { n_steps, max_steps, bound, .. } = self.config;
        Steps { first: n_steps, most: max_steps, bound }
    }

    /// Numbers by gradients, of each of these rows.
    fn by_gradient(
        &self,
        rows: &[usize],
        start: &Start,
        passes: &mut Passes<'_>,
    ) -> Result<Vec<Numbers>, AnalyzerError> {
        if !self.differentiates() {
            return Ok(rows.iter().map(|_| Numbers { value: f64::NAN, ..Numbers::default() }).collect());
        }
        let mut all = Vec::with_capacity(rows.len());
        for (row, local) in rows.iter().zip(passes.local(rows)?) {
            let mut numbers = Numbers {
                value: local.value,
                at_baseline: f64::NAN,
                gap: f64::NAN,
                error: f64::NAN,
                steps: f64::NAN,
                ..Numbers::default()
            };
            let (saliency, product) = of_gradient(&local, start.channels);
            let found = [(Method::Saliency, saliency), (Method::InputXGradient, product)];
            numbers.attributions.extend(found.into_iter().filter(|(method, _)| self.has(*method)));
            if self.has(Method::IntegratedGradients) {
                self.integrated(*row, &local, start, passes, &mut numbers)?;
            }
            all.push(numbers);
        }
        Ok(all)
    }

    fn integrated(
        &self,
        row: usize,
        local: &Local,
        start: &Start,
        passes: &mut Passes<'_>,
        into: &mut Numbers,
    ) -> Result<(), AnalyzerError> {
        let channels = start.channels.max(1);
        let token = passes.samples[row].token_ids.first().copied().unwrap_or(0);
        let from = start.baseline(token, local.at.get(..channels).unwrap_or_default())?;
        let from = from.repeat(local.at.len() / channels);
        let (found, at_baseline) = passes.integral(row, local, &from, self.steps())?;
        into.at_baseline = at_baseline;
        into.gap = found.gap;
        into.error = found.error;
        into.steps = found.steps as f64;
        let sums = found.elements.chunks(channels).map(|channels| channels.iter().sum()).collect();
        into.attributions.insert(Method::IntegratedGradients, sums);
        Ok(())
    }
}

impl Experiment for InputAttribution {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.lacking.clear();
        let logits = logits_of(model)?;
        let width = recorded_shape(model, logits).last().and_then(|n| usize::try_from(*n).ok());
        self.logits = Some((logits, width.unwrap_or(0)));
        self.start = Some(Start::of(model, self.baseline)?);
        self.vocabulary = model.vocabulary.cloned();
        let mut request = CaptureRequest::none();
        if self.has(Method::Rollout) {
            match HeadLayout::of(model).and_then(|layout| layout.of_one_stream(Some(TOKENS))) {
                Ok(layout) if layout.left_out().iter().any(|left| left.block.starts_with("attention")) => {
                    let left: Vec<&str> = layout.left_out().iter().map(|left| left.block.as_str()).collect();
                    self.lacking.push(format!("rollout: {} cannot be followed", left.join(", ")));
                }
                Ok(layout) => {
                    request = layout.request();
                    self.layout = Some(layout);
                }
                Err(error) if !self.differentiates() => return Err(error),
                Err(error) => self.lacking.push(format!("rollout: {error}")),
            }
        }
        Ok(request)
    }

    fn accepts(&self, samples: &[Sample]) -> Result<(), AnalyzerError> {
        self.logits.map_or(Ok(()), |(logits, _)| Subjects::check(&self.config, samples, logits))
    }

    fn passes(&self, samples: &[Sample]) -> f64 {
        let pairs = samples.iter().any(|sample| sample.pair.is_some());
        let share = if pairs { 0.5 } else { 1.0 };
        // Backwards costs about twice a pass.
        let steps = if self.has(Method::IntegratedGradients) { 3 * self.config.n_steps + 1 } else { 0 };
        let own = if self.differentiates() { 3 } else { 0 };
        share * (steps + own) as f64 + f64::from(u8::from(!pairs))
    }

    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let (Some((logits, tokens)), Some(start)) = (self.logits, &self.start) else { return Ok(()) };
        let samples = batch.samples();
        let positions = samples.iter().map(|sample| sample.span.end).max().unwrap_or(0);
        let at_once = self.config.memory / (4 * (tokens * positions).max(1)) as u64;
        let at_once = usize::try_from(at_once).unwrap_or(usize::MAX);
        let subjects = Subjects::of(&self.config, samples, logits, at_once, bench)?;
        let mut passes = Passes {
            bench,
            objective: &subjects.objective,
            start,
            samples,
            most: start.rows(positions, self.config.memory),
        };
        let mut found = self.by_gradient(&subjects.rows, start, &mut passes)?;
        if let Some(layout) = &self.layout {
            let mut rolled: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
            for text in BatchAttention::read(batch, layout)?.texts() {
                rolled.insert(text.sample().id, rollout(layout, &text).into_raw_vec_and_offset().0);
            }
            for (row, numbers) in subjects.rows.iter().zip(&mut found) {
                let sample = &samples[*row];
                let length = sample.token_ids.len();
                let answer = subjects.answers[*row].position.saturating_sub(sample.span.start);
                let all = rolled.remove(&sample.id).unwrap_or_default();
                let own = all.get(answer * length..(answer + 1) * length).unwrap_or_default().to_vec();
                numbers.attributions.insert(Method::Rollout, own);
                numbers.rollout = all;
            }
        }
        let mut totals = Totals { short: subjects.short as f64, ..Totals::default() };
        let mut kept = Vec::new();
        for (row, numbers) in subjects.rows.iter().zip(found) {
            let sample = &samples[*row];
            if let Some((method, _)) =
                numbers.attributions.iter().find(|(_, v)| v.iter().any(|x| !x.is_finite()))
            {
                let what = format!("numbers of {}", method.name());
                return Err(AnalyzerError::NotFinite { what, count: 1, sample: sample.id });
            }
            let answer = &subjects.answers[*row];
            let wanted = self.kept.wants(sample.id);
            let text = Text {
                tokens: sample.token_ids.clone(),
                pieces: if wanted { pieces(sample, self.vocabulary.as_ref()) } else { Vec::new() },
                answer: answer.position.saturating_sub(sample.span.start),
                of_pair: sample.pair.is_some(),
                right: answer.right.clone(),
                wrong: answer.wrong.clone(),
                numbers,
            };
            let marks =
                sample.pair.iter().flat_map(|pair| &pair.marks).map(|(mark, part)| (mark, part.clone()));
            totals.add(&text, marks, self.config.bound);
            if wanted {
                kept.push((sample.id, text));
            }
        }
        self.totals.merge(&totals);
        kept.into_iter().for_each(|(id, text)| self.kept.add(id, text));
        Ok(())
    }
}

impl Analysis for InputAttribution {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state =
            State::new(NAME, 1, json!({ "methods": self.config.methods, "kept": self.config.texts }));
        self.totals.put(&mut state)?;
        self.kept.put(&mut state)?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, 1)?;
        state.expect_field("methods", &json!(self.config.methods))?;
        state.expect_field("kept", &json!(self.config.texts))?;
        let totals = Totals::get(state)?;
        let kept = Kept::get(state, self.config.texts, &self.config.methods)?;
        self.totals.merge(&totals);
        self.kept.merge(kept);
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(self)
    }
}
