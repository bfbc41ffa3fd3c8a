//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ConfigError};

use super::analyzer::AttentionClustering;
use super::config::AttentionClusteringConfig;
use crate::attention::check_smoothing;

impl AnalyzerConfig for AttentionClusteringConfig {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        let refuse =
            |field, found: String, valid: &str| Err(ConfigError { field, found, valid: valid.to_owned() });
        check_smoothing(self.smoothing)?;
        if self.starts > 10_000 {
            return refuse("starts", self.starts.to_string(), "0 to 10000");
        }
        if self.max_iterations == 0 {
            return refuse("max_iterations", "0".to_owned(), "1 or more");
        }
        if !(self.eps > 0.0 && self.eps.is_finite()) {
            return refuse("eps", self.eps.to_string(), "a number greater than 0");
        }
        if self.clusters == Some(0) {
            return refuse("clusters", "0".to_owned(), "null, or 1 or more");
        }
        if self.max_clusters < 2 {
            return refuse("max_clusters", self.max_clusters.to_string(), "2 or more");
        }
        self.thresholds.check()?;
        Ok(Box::new(AttentionClustering::new(self.clone())))
    }
}

fmrai_core::register_analyzer!(
    AttentionClusteringConfig,
    name: "attention_clustering",
    summary: "which attention heads look alike: Jensen-Shannon distances, a map and clusters (Clark et al. 2019)",
);
