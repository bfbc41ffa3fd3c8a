//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ConfigError};

use super::analysis::DirectLogitAttribution;
use super::config::DirectLogitAttributionConfig;

/// Most neurons that can be listed.
const MOST: usize = 10_000;

impl AnalyzerConfig for DirectLogitAttributionConfig {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        if self.neurons > MOST {
            let (found, valid) = (self.neurons.to_string(), format!("a whole number from 0 to {MOST}"));
            return Err(ConfigError { field: "neurons", found, valid });
        }
        Ok(Box::new(DirectLogitAttribution::new(self.clone())))
    }
}

fmrai_core::register_analyzer!(
    DirectLogitAttributionConfig,
    name: "direct_logit_attribution",
    summary: "what embedding, heads, feed-forward blocks and neurons add to a logit directly (Elhage et al. 2021)",
);
