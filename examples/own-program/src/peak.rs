//! An analyzer: the mean of the largest probability of each sample, over all softmaxes with two axes.

use fmrai_core::analyzer::prelude::*;
use fmrai_core::registry::Named;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a plan says of it.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Peak {}

register_analyzer!(Peak, name: "peak", summary: "how sure a softmax is: its largest probability, on average");

impl AnalyzerConfig for Peak {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        Ok(Box::new(Peaks::default()))
    }
}

#[derive(Default)]
struct Peaks {
    tensors: Vec<TensorId>,
    sum: f64,
    rows: u64,
}

impl Analyzer for Peaks {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let softmax = model.graph.operations().iter().filter(|o| o.name.starts_with("aten::softmax"));
        self.tensors = softmax.flat_map(|o| o.outputs.iter().copied()).collect();
        Ok(self.tensors.iter().copied().collect())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let (mut sum, mut rows) = (self.sum, self.rows);
        for id in &self.tensors {
            let probabilities = batch.f32::<2>(*id, "[sample, class]")?;
            let [samples, _] = probabilities.sizes();
            for sample in 0..samples {
                let row = probabilities.at([sample])?;
                sum += f64::from(row.iter().copied().fold(0.0, f32::max));
                rows += 1;
            }
        }
        (self.sum, self.rows) = (sum, rows); // the last thing that can fail is behind us
        Ok(())
    }
}

impl Analysis for Peaks {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new(Peak::NAME, 1, serde_json::Value::Null);
        state.put_number("sum", self.sum)?;
        state.put_number("rows", self.rows)?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(Peak::NAME, 1)?;
        let (sum, rows): (f64, u64) = (state.number("sum")?, state.number("rows")?);
        self.sum += sum;
        self.rows += rows;
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        let mut report = Report::default();
        #[expect(clippy::cast_precision_loss, reason = "rows are few")]
        report.summary.insert("peak".to_owned(), (self.sum / self.rows as f64).into());
        Ok(report)
    }
}
