//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ConfigError};

use super::analysis::LogitLens;
use super::config::LogitLensConfig;

impl AnalyzerConfig for LogitLensConfig {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        let whole = |field, found: usize, least: usize| match (least..=100).contains(&found) {
            true => Ok(()),
            false => {
                let valid = format!("a whole number from {least} to 100");
                Err(ConfigError { field, found: found.to_string(), valid })
            }
        };
        whole("texts", self.texts, 0)?;
        whole("top_k", self.top_k, 1)?;
        Ok(Box::new(LogitLens::new(self.clone())))
    }
}

fmrai_core::register_analyzer!(
    LogitLensConfig,
    name: "logit_lens",
    summary: "what the residual stream predicts after every block: probability, rank, entropy, KL (nostalgebraist 2020)",
);
