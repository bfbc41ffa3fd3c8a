//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ConfigError};

use super::analysis::FfnKeyValue;
use super::config::FfnKeyValueConfig;

impl AnalyzerConfig for FfnKeyValueConfig {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        whole("triggers", self.triggers, 1, 1000)?;
        whole("contexts", self.contexts, 0, 100)?;
        whole("cards", self.cards, 0, 100)?;
        whole("top_tokens", self.top_tokens, 1, 1000)?;
        whole("composition_positions", self.composition_positions, 0, 100_000)?;
        if self.layers.as_ref().is_some_and(Vec::is_empty) {
            let valid = "a list of at least one layer".to_owned();
            return Err(ConfigError { field: "layers", found: "[]".to_owned(), valid });
        }
        if !(self.key_sigma > 0.0 && self.key_sigma.is_finite()) {
            return Err(ConfigError {
                field: "key_sigma",
                found: self.key_sigma.to_string(),
                valid: "a number greater than 0".to_owned(),
            });
        }
        Ok(Box::new(FfnKeyValue::new(self.clone())))
    }
}

fn whole(field: &'static str, found: usize, least: usize, most: usize) -> Result<(), ConfigError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(ConfigError {
        field,
        found: found.to_string(),
        valid: format!("a whole number from {least} to {most}"),
    })
}

fmrai_core::register_analyzer!(
    FfnKeyValueConfig,
    name: "ffn_key_value",
    summary: "feed-forward layers as key-value memories: triggers, value distributions, agreement (Geva et al. 2021)",
);
