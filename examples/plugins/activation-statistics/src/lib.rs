//! How the neurons of each feed-forward block are used: mean and spread of their activations, and which neurons are dead
//! (never on) or saturated (always on).
//!
//! A neuron is on at a token if the magnitude of its activation is above `threshold`. Padding is left out.

mod report;
mod sums;

use fmrai_core::analyzer::{Analysis, Analyzer, AnalyzerConfig, AnalyzerError, ConfigError, ModelView, State};
use fmrai_core::batch::Batch;
use fmrai_core::registry::Named;
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use sums::{Layer, Sums};

const NAME: &str = ActivationStatisticsConfig::NAME;
const VERSION: u32 = 1;

/// Config of the analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ActivationStatisticsConfig {
    /// A neuron is on where the magnitude of its activation is above this; a number of at least 0.
    pub threshold: f64,
}

impl Default for ActivationStatisticsConfig {
    fn default() -> Self {
        Self { threshold: 0.01 }
    }
}

impl AnalyzerConfig for ActivationStatisticsConfig {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        if !(self.threshold >= 0.0 && self.threshold.is_finite()) {
            let found = self.threshold.to_string();
            return Err(ConfigError {
                field: "threshold",
                found,
                valid: "a number of at least 0".to_owned(),
            });
        }
        Ok(Box::new(ActivationStatistics { config: self.clone(), layers: Vec::new(), sums: Sums::default() }))
    }
}

fmrai_core::register_analyzer!(
    ActivationStatisticsConfig,
    name: "activation_statistics",
    summary: "mean and spread of the neurons of each feed-forward block, and which are dead or saturated",
);

fmrai_core::export_plugin!();

struct ActivationStatistics {
    config: ActivationStatisticsConfig,
    layers: Vec<Layer>,
    sums: Sums,
}

impl Analyzer for ActivationStatistics {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let mut first = 0;
        for block in model.structure.feed_forward.iter().filter(|block| block.role() == "ffn") {
            let (tensor, neurons) = (block.activation, block.neurons);
            self.layers.push(Layer { tensor, module: block.module.clone(), first, neurons });
            first += neurons;
        }
        if self.layers.is_empty() {
            return Err(AnalyzerError::Unsuitable {
                found: "no feed-forward block".to_owned(),
                needed: "at least one".to_owned(),
            });
        }
        self.sums = Sums::of(first);
        Ok(self.layers.iter().map(|layer| layer.tensor).collect())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        // Beside the state, which stays as it was if anything fails.
        let mut seen = Sums::of(self.sums.sum.len());
        seen.tokens = batch.samples().iter().map(|sample| sample.span.len() as i64).sum();
        for layer in &self.layers {
            let view = batch.elements::<f32>(layer.tensor)?;
            // Some models join batch and token in one axis.
            let (rows, width) = match view.shape() {
                [batch, tokens, width] => (batch * tokens, *width),
                [rows, width] => (*rows, *width),
                _ => (0, 0),
            };
            let positions = rows / batch.samples().len().max(1);
            let fits = width == layer.neurons && rows == positions * batch.samples().len();
            if !fits || batch.samples().iter().any(|sample| sample.span.end > positions) {
                return Err(view.misshapen(format!("[batch, token, {}]", layer.neurons)));
            }
            for (i, sample) in batch.samples().iter().enumerate() {
                let rows = &view.data()
                    [(i * positions + sample.span.start) * width..(i * positions + sample.span.end) * width];
                let count = rows.iter().filter(|x| !x.is_finite()).count();
                if count > 0 {
                    let what = format!("activations of {}", layer.module);
                    return Err(AnalyzerError::NotFinite { what, count, sample: sample.id });
                }
                rows.chunks_exact(width)
                    .for_each(|row| seen.add_row(layer.first, row, self.config.threshold));
            }
        }
        self.sums.add(&seen);
        Ok(())
    }
}

impl Analysis for ActivationStatistics {
    fn state(&self) -> Result<State, AnalyzerError> {
        let neurons: Vec<usize> = self.layers.iter().map(|layer| layer.neurons).collect();
        let mut state =
            State::new(NAME, VERSION, json!({ "neurons": neurons, "threshold": self.config.threshold }));
        let Sums { tokens, sum, squares, on, largest } = self.sums.clone();
        let length = sum.len();
        state.put_number("tokens", tokens)?;
        state.put("sum", [length], sum)?;
        state.put("squares", [length], squares)?;
        state.put("on", [length], on)?;
        state.put("largest", [length], largest)?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, VERSION)?;
        let own = self.state()?;
        if state.document != own.document {
            let text = format!("the state is of {}, needed {}", state.document, own.document);
            return Err(AnalyzerError::Other(text));
        }
        let shape = [self.sums.sum.len()];
        let seen = Sums {
            tokens: state.number("tokens")?,
            sum: state.get("sum", &shape)?,
            squares: state.get("squares", &shape)?,
            on: state.get("on", &shape)?,
            largest: state.get("largest", &shape)?,
        };
        self.sums.add(&seen);
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.layers, &self.sums, self.config.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_is_in_order() {
        fmrai_core::testing::check_config::<ActivationStatisticsConfig>(NAME).unwrap();
        assert!(ActivationStatisticsConfig { threshold: f64::NAN }.build().is_err());
    }
}
