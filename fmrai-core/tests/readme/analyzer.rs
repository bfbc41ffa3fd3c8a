//! How much of its attention each head puts on its favourite token.

use fmrai_core::analyzer::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sharpness {}

impl AnalyzerConfig for Sharpness {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        Ok(Box::new(Peaks::default()))
    }
}
register_analyzer!(Sharpness, name: "sharpness", summary: "how much of its attention a head puts on one token");

#[derive(Default)]
struct Peaks {
    layers: Vec<TensorId>,
    sums: Vec<f64>,
    queries: u64,
}

impl Analyzer for Peaks {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.layers = model.structure.attention.iter().map(|a| a.probabilities).collect();
        self.sums = vec![0.0; self.layers.len()];
        Ok(self.layers.iter().copied().collect()) // keep these tensors, and only these
    }
    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let mut sums = self.sums.clone(); // a batch that fails leaves no trace
        for (sum, &id) in sums.iter_mut().zip(&self.layers) {
            let attention = batch.f32::<4>(id, "[batch, head, query, key]")?;
            let [_, heads, ..] = attention.sizes();
            for (row, sample) in batch.samples().iter().enumerate() {
                for (head, query) in (0..heads).flat_map(|h| sample.span.clone().map(move |q| (h, q))) {
                    let keys = attention.part([row, head, query], sample.span.clone())?; // no padding
                    *sum += f64::from(keys.iter().copied().fold(0.0, f32::max)) / heads as f64;
                }
            }
        }
        self.sums = sums;
        self.queries += batch.samples().iter().map(|sample| sample.span.len() as u64).sum::<u64>();
        Ok(())
    }
}

impl Analysis for Peaks {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new("sharpness", 1, serde_json::Value::Null);
        state.put("sums", [self.sums.len()], self.sums.clone())?;
        state.put_number("queries", self.queries)?;
        Ok(state)
    }
    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect("sharpness", 1)?;
        let (sums, queries): (Vec<f64>, u64) =
            (state.get("sums", &[self.sums.len()])?, state.number("queries")?);
        self.sums.iter_mut().zip(sums).for_each(|(all, more)| *all += more);
        self.queries += queries;
        Ok(())
    }
    fn analyze(&self) -> Result<Report, AnalyzerError> {
        let means: Vec<f64> = self.sums.iter().map(|sum| sum / self.queries as f64).collect();
        let peaks = TensorValue::new([means.len()], means.into())?;
        Ok(Report { tensors: vec![NamedTensor::new("peak", &["layer"], None, peaks)], ..Report::default() })
    }
}
