//! What the clustering of attention heads can be told.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ConfigError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AttentionClustering;
use super::labels::Thresholds;
use crate::attention_patterns::check_smoothing;
use crate::statistics::mds::Options;

/// Config of the `attention_clustering` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttentionClusteringConfig {
    /// Smoothing `s` of the attention before distances are taken: a row A over n keys becomes `(1 - s) A + s / n`. A
    /// share without unit, in [0, 1), default 0 (exact). 0.001 is what Clark et al. 2019 use. Labels are never smoothed.
    pub smoothing: f64,
    /// Random starts of the map in the plane, beside one from classical scaling: more find lower stress, and take
    /// longer in proportion. 0 to 10000, default 64.
    pub starts: usize,
    /// Most steps of each start. 1 or more, default 1000.
    pub max_iterations: usize,
    /// A start ends when a step lowers the stress by less than this share of the sum of squared distances. A number
    /// greater than 0, default 1e-10.
    pub eps: f64,
    /// Seed of the map's random starts and of k-means. Any whole number that is not negative, default 0.
    pub seed: u64,
    /// Number of clusters, 1 or more; or null, the default: the number from 2 to `max_clusters` with the largest mean
    /// silhouette. There are never more clusters than different heads.
    pub clusters: Option<usize>,
    /// Largest number of clusters tried when `clusters` is null. 2 or more, default 12.
    pub max_clusters: usize,
    /// The input whose tokens the heads look at, e.g. `decoder_input_ids`, in a model that reads several sequences; or null,
    /// the default: the one that most heads look at.
    pub tokens_of: Option<String>,
    /// From where on a head gets a label.
    pub thresholds: Thresholds,
}

impl Default for AttentionClusteringConfig {
    fn default() -> Self {
        let Options { starts, max_iterations, eps, seed } = Options::default();
        Self {
            smoothing: 0.0,
            starts,
            max_iterations,
            eps,
            seed,
            clusters: None,
            max_clusters: 12,
            tokens_of: None,
            thresholds: Thresholds::default(),
        }
    }
}

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
