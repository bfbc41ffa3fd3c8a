//! How much of its attention each head puts on its favourite token.

use fmrai_core::analyzer::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sharpness {}

impl AnalyzerConfig for Sharpness {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        Ok(Box::new(Sharpest::default()))
    }
}
register_analyzer!(Sharpness, name: "sharpness", summary: "how much of its attention a head puts on one token");

sums! {
    /// Sums over queries, of which `state` and `merge` are made.
    struct Peaks { of_layer: Vec<f64>, queries: u64 }
}

#[derive(Default)]
struct Sharpest {
    layers: Vec<TensorId>,
    seen: Peaks,
}

impl Analyzer for Sharpest {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.layers = model.structure.attention.iter().map(|a| a.probabilities).collect();
        self.seen.of_layer = vec![0.0; self.layers.len()];
        Ok(self.layers.iter().copied().collect()) // keep these tensors, and only these
    }
    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let mut seen = self.seen.clone(); // a batch that fails leaves no trace
        for (sum, &id) in seen.of_layer.iter_mut().zip(&self.layers) {
            let attention = batch.f32::<4>(id, "[batch, head, query, key]")?;
            let [_, heads, ..] = attention.sizes();
            for (row, sample) in batch.samples().iter().enumerate() {
                for (head, query) in (0..heads).flat_map(|h| sample.span.clone().map(move |q| (h, q))) {
                    let keys = attention.part([row, head, query], sample.span.clone())?; // no padding
                    *sum += f64::from(keys.iter().copied().fold(0.0, f32::max)) / heads as f64;
                }
            }
        }
        seen.queries += batch.samples().iter().map(|sample| sample.span.len() as u64).sum::<u64>();
        self.seen = seen;
        Ok(())
    }
}

impl Analysis for Sharpest {
    fn state(&self) -> Result<State, AnalyzerError> {
        Ok(self.seen.state("sharpness", 1)?)
    }
    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        Ok(self.seen.merge(state, "sharpness", 1)?)
    }
    fn analyze(&self) -> Result<Report, AnalyzerError> {
        let means = self.seen.of_layer.iter().map(|sum| sum / self.seen.queries as f64).collect::<Vec<_>>();
        let peaks = TensorValue::new([means.len()], means.into())?;
        Ok(Report { tensors: vec![NamedTensor::new("peak", &["layer"], None, peaks)], ..Report::default() })
    }
}
