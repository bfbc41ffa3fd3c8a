//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ConfigError};

use super::analyzer::NeuronView;
use super::config::NeuronViewConfig;

impl AnalyzerConfig for NeuronViewConfig {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        let limits = [
            ("texts", self.texts, 1000),
            ("max_tokens", self.max_tokens, 4096),
            ("top", self.top, 100),
            ("top_tokens", self.top_tokens, 100),
        ];
        for (field, found, most) in limits {
            if !(1..=most).contains(&found) {
                return Err(ConfigError { field, found: found.to_string(), valid: format!("1 to {most}") });
            }
        }
        Ok(Box::new(NeuronView::new(self.clone())))
    }
}

fmrai_core::register_analyzer!(
    NeuronViewConfig,
    name: "neuron_view",
    summary: "the neurons that write most into the stream at chosen texts, and what they promote",
);
