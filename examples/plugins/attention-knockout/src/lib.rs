//! From which layers on an answer is read off a part of the text: attention knockout, after Geva et al. 2023, *Dissecting Recall of Factual
//! Associations in Auto-Regressive Language Models*.
//!
//! The model runs on the clean texts of pairs. In a window of layers, the position where the answer is read does not see the tokens of a
//! marked part: its scores there are minus infinity before the softmax, in all heads. What is measured is by which share the probability of the
//! right answer changes.

mod report;
mod sums;

use fmrai_core::analyzer::{Analysis, AnalyzerError, ConfigError, ModelView, State};
use fmrai_core::batch::{Batch, PairRole, Sample};
use fmrai_core::experiment::{
    Answer, Axis, Bench, Change, Edit, Experiment, ExperimentConfig, Measure, Objective, Site, Sites, Variant,
};
use fmrai_core::graph::TensorId;
use fmrai_core::registry::Named;
use fmrai_core::report::Report;
use fmrai_core::tensor::{TensorData, TensorValue};
use fmrai_core::tracker::CaptureRequest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use sums::Sums;

const NAME: &str = AttentionKnockoutConfig::NAME;
const VERSION: u32 = 1;

/// Config of the analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttentionKnockoutConfig {
    /// The mark of the data whose tokens are not seen from where the answer is read.
    pub mark: String,
    /// How many neighbouring layers are changed together, the middle one being the layer that the result names; an odd number.
    pub window: usize,
}

impl Default for AttentionKnockoutConfig {
    fn default() -> Self {
        Self { mark: "subject".to_owned(), window: 1 }
    }
}

impl ExperimentConfig for AttentionKnockoutConfig {
    fn build(&self) -> Result<Box<dyn Experiment>, ConfigError> {
        if self.window % 2 == 0 {
            let found = self.window.to_string();
            return Err(ConfigError { field: "window", found, valid: "an odd number".to_owned() });
        }
        let none = TensorId(u32::MAX);
        Ok(Box::new(Knockout {
            config: self.clone(),
            scores: Vec::new(),
            logits: none,
            sums: Sums::default(),
        }))
    }
}

fmrai_core::register_experiment!(
    AttentionKnockoutConfig,
    name: "attention_knockout",
    summary: "from which layers on an answer is read off a marked part of the text",
);

fmrai_core::export_plugin!();

struct Knockout {
    config: AttentionKnockoutConfig,
    /// The scores of each layer.
    scores: Vec<Site>,
    logits: TensorId,
    sums: Sums,
}

/// The position in the padded row where the answer is read.
fn answer_position(sample: &Sample) -> usize {
    let marked = sample.pair.as_ref().and_then(|pair| pair.marks.get("answer"));
    marked.map_or_else(|| sample.last_position(), |mark| sample.span.start + mark.start)
}

impl Knockout {
    /// The layers around this one.
    fn window(&self, layer: usize) -> std::ops::Range<usize> {
        let half = self.config.window / 2;
        layer.saturating_sub(half)..(layer + half + 1).min(self.scores.len())
    }

    /// Of the clean texts that have the mark before the answer: their row, the position of the answer, those of the mark.
    fn marked(&self, samples: &[Sample]) -> Vec<(usize, usize, Vec<usize>)> {
        let of = |(row, sample): (usize, &Sample)| {
            let pair = sample.pair.as_ref().filter(|pair| pair.role == PairRole::Clean)?;
            let mark = pair.marks.get(&self.config.mark)?;
            let (position, start) = (answer_position(sample), sample.span.start);
            let places: Vec<usize> =
                (start + mark.start..start + mark.end).filter(|p| *p < position).collect();
            (!places.is_empty()).then_some((row, position, places))
        };
        samples.iter().enumerate().filter_map(of).collect()
    }
}

impl Experiment for Knockout {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let unsuitable = |found: &str, needed: &str| {
            let (found, needed) = (found.to_owned(), needed.to_owned());
            AnalyzerError::Unsuitable { found, needed }
        };
        let sites = Sites::of(model.graph, model.structure);
        self.scores = sites.blocks.iter().map(|block| sites.scores(block)).collect();
        if self.scores.is_empty() {
            return Err(unsuitable("no self-attention", "at least one block of it"));
        }
        let last = model.structure.unembedding.last();
        self.logits = last.ok_or_else(|| unsuitable("no map to a vocabulary", "logits of tokens"))?.output;
        self.sums = Sums::of(self.scores.len());
        Ok(CaptureRequest::none())
    }

    fn passes(&self, samples: &[Sample]) -> f64 {
        let share = self.marked(samples).len() as f64 / samples.len().max(1) as f64;
        share * (self.scores.len() + 1) as f64
    }

    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let samples = batch.samples();
        if samples.iter().any(|sample| sample.pair.is_none()) {
            return Err(AnalyzerError::UnsuitableData {
                found: "single texts".to_owned(),
                needed: "pairs with answers and marks: data of the type `pairs`".to_owned(),
            });
        }
        let marked = self.marked(samples);
        if marked.is_empty() {
            return Ok(());
        }
        let rows: Vec<usize> = marked.iter().map(|(row, ..)| *row).collect();
        let unseen = TensorValue::new([1, 1, 1, 1], TensorData::F32(vec![f32::NEG_INFINITY]));
        let unseen = unseen.map_err(|error| AnalyzerError::Other(error.to_string()))?;
        let mut variants = vec![Variant::clean(rows.clone())];
        for layer in 0..self.scores.len() {
            let mut variant = Variant::clean(rows.clone());
            for scores in &self.scores[self.window(layer)] {
                for (at, (_, position, places)) in marked.iter().enumerate() {
                    let edit = Edit::new(scores.clone(), Change::Set(unseen.clone()));
                    let edit =
                        edit.of_rows([at]).at(Axis::Position, [*position]).at(Axis::Key, places.clone());
                    variant = variant.with(edit);
                }
            }
            variants.push(variant);
        }
        let answers = samples.iter().map(|sample| Answer {
            position: answer_position(sample),
            right: sample.pair.iter().flat_map(|pair| pair.right.clone()).collect(),
            wrong: Vec::new(),
        });
        let objective = Objective::of_logits(self.logits, Measure::Probability(answers.collect()));
        let measured = bench.measure(&variants, &[objective])?;
        let clean = &measured[0][0];
        // Nothing fails from here on.
        for (layer, blocked) in measured[1..].iter().enumerate() {
            for (with, without) in clean.iter().zip(&blocked[0]) {
                self.sums.add(layer, (without - with) / with.max(f64::MIN_POSITIVE));
            }
        }
        self.sums.texts += rows.len() as i64;
        Ok(())
    }
}

impl Analysis for Knockout {
    fn state(&self) -> Result<State, AnalyzerError> {
        let about = json!({ "mark": self.config.mark, "window": self.config.window });
        let mut state = State::new(NAME, VERSION, about);
        let Sums { texts, sum, squares } = self.sums.clone();
        let layers = [sum.len()];
        state.put_number("texts", texts)?;
        state.put("sum", layers, sum)?;
        state.put("squares", layers, squares)?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, VERSION)?;
        let own = self.state()?;
        if state.document != own.document {
            let text = format!("the state is of {}, needed {}", state.document, own.document);
            return Err(AnalyzerError::Other(text));
        }
        let layers = [self.scores.len()];
        let seen = Sums {
            texts: state.number("texts")?,
            sum: state.get("sum", &layers)?,
            squares: state.get("squares", &layers)?,
        };
        self.sums.merge(&seen);
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.config.mark, self.config.window, &self.sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_is_in_order() {
        fmrai_core::testing::check_config::<AttentionKnockoutConfig>(NAME).unwrap();
        assert!(AttentionKnockoutConfig { window: 2, ..Default::default() }.build().is_err());
    }
}
