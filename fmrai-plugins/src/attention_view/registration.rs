//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ConfigError};

use super::analyzer::AttentionView;
use super::config::AttentionViewConfig;
use crate::limits::within;

impl AnalyzerConfig for AttentionViewConfig {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        within([
            ("texts", self.texts, 1000),
            ("max_tokens", self.max_tokens, 4096),
            ("max_values", self.max_values, 100_000_000),
        ])?;
        Ok(Box::new(AttentionView::new(self.clone())))
    }
}

fmrai_core::register_analyzer!(
    AttentionViewConfig,
    name: "attention_view",
    summary: "the attention of every head over chosen texts, to be looked at in the report",
);
