//! What the analysis of attention patterns can be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Config of the `attention_patterns` analysis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttentionPatternsConfig {
    /// Smoothing `s` of the entropies: a row A over n keys becomes `(1 - s) A + s / n`. A share without unit, in [0, 1),
    /// default 0 (exact). 0.0001 gives the figures of Clark et al. 2019. Shares of attention are never smoothed.
    pub smoothing: f64,
}
