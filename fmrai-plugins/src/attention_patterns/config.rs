//! What the analysis of attention patterns can be told.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ConfigError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AttentionPatterns;

/// Config of the `attention_patterns` analysis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttentionPatternsConfig {
    /// Smoothing `s` of the entropies: a row A over n keys becomes `(1 - s) A + s / n`. A share without unit, in [0, 1),
    /// default 0 (exact). 0.0001 gives the figures of Clark et al. 2019. Shares of attention are never smoothed.
    pub smoothing: f64,
}

impl AnalyzerConfig for AttentionPatternsConfig {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        check_smoothing(self.smoothing)?;
        Ok(Box::new(AttentionPatterns::new(self.clone())))
    }
}

/// Smoothing has to leave something of the attention.
pub(crate) fn check_smoothing(smoothing: f64) -> Result<(), ConfigError> {
    if (0.0..1.0).contains(&smoothing) {
        return Ok(());
    }
    Err(ConfigError {
        field: "smoothing",
        found: smoothing.to_string(),
        valid: "a number from 0 to less than 1".to_owned(),
    })
}

fmrai_core::register_analyzer!(
    AttentionPatternsConfig,
    name: "attention_patterns",
    summary: "where each attention head looks and how broadly: shares of attention and entropy (Clark et al. 2019)",
);
