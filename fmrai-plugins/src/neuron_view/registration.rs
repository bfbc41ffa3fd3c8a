//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ConfigError};

use super::analyzer::NeuronView;
use super::config::NeuronViewConfig;
use crate::limits::within;

impl AnalyzerConfig for NeuronViewConfig {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        within([
            ("texts", self.texts, 1000),
            ("max_tokens", self.max_tokens, 4096),
            ("top", self.top, 100),
            ("top_tokens", self.top_tokens, 100),
        ])?;
        Ok(Box::new(NeuronView::new(self.clone())))
    }
}

fmrai_core::register_analyzer!(
    NeuronViewConfig,
    name: "neuron_view",
    summary: "the neurons that write most into the stream at chosen texts, and what they promote",
);
