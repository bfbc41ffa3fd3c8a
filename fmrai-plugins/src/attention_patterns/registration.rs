//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ConfigError};

use super::analyzer::AttentionPatterns;
use super::config::AttentionPatternsConfig;
use crate::attention::check_smoothing;

impl AnalyzerConfig for AttentionPatternsConfig {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        check_smoothing(self.smoothing)?;
        Ok(Box::new(AttentionPatterns::new(self.clone())))
    }
}

fmrai_core::register_analyzer!(
    AttentionPatternsConfig,
    name: "attention_patterns",
    summary: "where each attention head looks and how broadly: shares of attention and entropy (Clark et al. 2019)",
);
