//! How much of its attention each head puts on its favourite token.

use fmrai_core::analyzer::prelude::*;
use fmrai_core::attention::{BatchAttention, HeadLayout};
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
    struct Peaks { of_head: Vec<f64>, queries: Vec<u64> }
}

#[derive(Default)]
struct Sharpest {
    heads: HeadLayout,
    seen: Peaks,
}

impl Analyzer for Sharpest {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.heads = HeadLayout::of(model)?;
        let heads = self.heads.heads();
        self.seen = Peaks { of_head: vec![0.0; heads], queries: vec![0; heads] };
        Ok(self.heads.request()) // keep these tensors, and only these
    }
    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let mut seen = self.seen.clone(); // a batch that fails leaves no trace
        for text in BatchAttention::read(batch, &self.heads)?.texts() {
            for row in text.rows() {
                // What one query gives to each key that it sees: no padding, no future of a causal layer.
                seen.of_head[row.index] += f64::from(row.keys.iter().copied().fold(0.0, f32::max));
                seen.queries[row.index] += 1;
            }
        }
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
        let of_head = self.seen.of_head.iter().zip(&self.seen.queries);
        let means = of_head.map(|(sum, queries)| sum / *queries as f64).collect::<Vec<_>>();
        let [layers, heads] = [self.heads.all_layers(), self.heads.widest()];
        let peaks = TensorValue::new([layers, heads], self.heads.cells(&means).into())?;
        Ok(Report {
            tensors: vec![NamedTensor::new("peak", &["layer", "head"], None, peaks)],
            ..Report::default()
        })
    }
}
