//! The analysis: what it sees of the data, and what it runs once.

use fmrai_core::analyzer::{Analysis, AnalyzerError, ModelView, State};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::experiment::{Bench, Experiment};
use fmrai_core::report::Report;
use fmrai_core::structure::Visible;
use fmrai_core::tracker::CaptureRequest;
use serde_json::{Value, json};

use super::analysis::{HeadDetection, Once};
use super::config::Score;
use super::learning;
use super::repeated::{Prefix, Repeated};
use super::report;
use super::sums::{Sums, earlier};
use super::tokens::{Drawn, Rows};
use super::weights::Places;
use crate::attention::{BatchAttention, HeadLayout};
use crate::finite::finite;
use crate::sites::{Moments, logits_of};
use fmrai_core::sequences::recorded_shape;

const NAME: &str = "head_detection";

/// Olsson et al.: tokens of a part, how often it stands in a row, rows.
const PREFIX_MATCHING: [usize; 3] = [25, 4, 10];

/// The shortest part that is tried.
const SHORTEST: usize = 4;

impl HeadDetection {
    /// Measures rows of random tokens, shorter ones where the model fails on long ones: many say nowhere how many positions they take.
    fn fitting<T>(
        &self,
        [mut length, times, rows]: [usize; 3],
        measure: &mut dyn FnMut(&Rows) -> Result<T, AnalyzerError>,
    ) -> Result<T, String> {
        let drawn = self.drawn.as_ref().ok_or("the model has no token embedding to draw tokens of")?;
        let mut first_error = None;
        loop {
            let rows = drawn.rows([length, times, rows], self.config.repeats.seed);
            let rows = rows.ok_or("the model has too few positions or tokens for a repeated row")?;
            match measure(&rows) {
                Ok(found) => return Ok(found),
                Err(error) if rows.length / 2 < SHORTEST => {
                    return Err(first_error.unwrap_or_else(|| error.to_string()));
                }
                Err(error) => {
                    first_error.get_or_insert_with(|| error.to_string());
                    length = rows.length / 2;
                }
            }
        }
    }

    /// Runs what does not depend on the data.
    fn once(&self, bench: &mut dyn Bench) -> (Once<Repeated>, Once<Prefix>) {
        let mut repeated = None;
        if self.repeated.is_none()
            && (self.config.has(Score::Repeated) || self.config.has(Score::InContextLearning))
        {
            let logits = self.logits.filter(|_| self.config.has(Score::InContextLearning));
            let repeats = &self.config.repeats;
            let mut measure = |rows: &Rows| Repeated::measure(rows, &self.layout, logits, bench);
            repeated = Some(match &repeats.ids {
                Some(ids) => {
                    let rows = Rows { rows: ids.clone(), ..Rows::default() };
                    measure(&rows).map_err(|error| error.to_string())
                }
                None => self.fitting([repeats.length, repeats.times, repeats.rows], &mut measure),
            });
        }
        let mut prefix = None;
        if self.prefix.is_none() && self.config.has(Score::PrefixMatching) {
            let mut measure = |rows: &Rows| Prefix::measure(rows, &self.layout, bench);
            prefix = Some(self.fitting(PREFIX_MATCHING, &mut measure));
        }
        (repeated, prefix)
    }

    /// What a batch adds to the sums of the data.
    fn absorb(&self, batch: &Batch<'_>) -> Result<Sums, AnalyzerError> {
        let mut sums = Sums::new(self.layout.heads());
        let attention = BatchAttention::read(batch, &self.layout)?;
        for text in attention.texts() {
            let tokens = self.layout.streams().get(text.stream()).and_then(|s| s.tokens(text.sample()));
            let earlier = tokens.map(|tokens| earlier(tokens.ids)).unwrap_or_default();
            for head in text.heads() {
                let row = |query| text.is_valid(head, query).then(|| text.row(head, query));
                sums.add(head, text.tokens(), &earlier, row);
            }
        }
        Ok(sums)
    }
}

impl Experiment for HeadDetection {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.layout = HeadLayout::of(model)?;
        self.data = Sums::new(self.layout.heads());
        self.drawn = Drawn::of(model);
        if let (Some(drawn), Some(ids)) = (&self.drawn, &self.config.repeats.ids) {
            drawn.check(ids)?;
        }
        self.lacking.clear();
        if self.config.has(Score::InContextLearning) {
            let looks_ahead = self.layout.layers().iter().any(|layer| layer.visible == Visible::Full);
            self.logits = match logits_of(model) {
                Ok(_) if looks_ahead => {
                    self.lacking.push("in_context_learning: tokens see those after them".to_owned());
                    None
                }
                Ok(id) => {
                    let width = recorded_shape(model, id).last().copied();
                    Some((id, width.and_then(|n| usize::try_from(n).ok()).unwrap_or(0)))
                }
                Err(error) => {
                    self.lacking.push(format!("in_context_learning: {error}"));
                    None
                }
            };
        }
        if self.config.has(Score::Copying) || self.config.has(Score::Composition) {
            self.places = Places::of(model, &self.layout);
            self.weights = model.weights.cloned();
        }
        Ok(if self.config.has(Score::Data) { self.layout.request() } else { CaptureRequest::none() })
    }

    fn passes(&self, samples: &[Sample]) -> f64 {
        let long = |sample: &&Sample| sample.token_ids.len() > self.config.in_context_learning.late;
        let again = if self.logits.is_some() { samples.iter().filter(long).count() } else { 0 };
        again as f64 / samples.len().max(1) as f64
    }

    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let data = if self.config.has(Score::Data) { Some(self.absorb(batch)?) } else { None };
        let learning = match self.logits {
            Some((logits, _)) => {
                learning::of_data(batch.samples(), logits, &self.config.in_context_learning, bench)?
            }
            None => Moments::default(),
        };
        let (repeated, prefix) = self.once(bench);
        if let Some(data) = data {
            self.data.merge(&data);
        }
        self.learning.merge(&learning);
        self.repeated = self.repeated.take().or(repeated);
        self.prefix = self.prefix.take().or(prefix);
        Ok(())
    }
}

/// What a state's document says of something that is run once.
fn told<T>(once: &Once<T>) -> Value {
    match once {
        None => Value::Null,
        Some(Ok(_)) => json!(true),
        Some(Err(reason)) => json!(reason),
    }
}

impl Analysis for HeadDetection {
    fn state(&self) -> Result<State, AnalyzerError> {
        let document = json!({
            "heads": self.layout.to_document(),
            "repeated": told(&self.repeated),
            "prefix": told(&self.prefix),
        });
        let mut state = State::new(NAME, 1, document);
        self.data.put(&mut state, "data")?;
        state.put("learning", [3], self.learning.numbers().to_vec())?;
        if let Some(Ok(repeated)) = &self.repeated {
            repeated.put(&mut state)?;
        }
        if let Some(Ok(prefix)) = &self.prefix {
            prefix.put(&mut state)?;
        }
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, 1)?;
        state.expect_field("heads", &self.layout.to_document())?;
        let heads = self.layout.heads();
        let data = Sums::get(state, "data", heads)?;
        let n = finite(state, "learning", &[3])?;
        let repeated = match &state.document["repeated"] {
            Value::Bool(true) => Some(Ok(Repeated::get(state, heads)?)),
            Value::String(reason) => Some(Err(reason.clone())),
            _ => None,
        };
        let prefix = match &state.document["prefix"] {
            Value::Bool(true) => Some(Ok(Prefix::get(state, heads)?)),
            Value::String(reason) => Some(Err(reason.clone())),
            _ => None,
        };
        self.data.merge(&data);
        self.learning.merge(&Moments::of([n[0], n[1], n[2]]));
        // Both have run the same rows.
        self.repeated = self.repeated.take().or(repeated);
        self.prefix = self.prefix.take().or(prefix);
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(self)
    }
}
