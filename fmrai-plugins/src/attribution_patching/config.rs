//! What attribution patching can be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::activation_patching::Direction;
use crate::metric::Metric;
use crate::sites::{SiteChoice, SiteKind};

/// Config of the `attribution_patching` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttributionPatchingConfig {
    /// The sites, named as in `activation_patching`: `residual.before` by layer and position, `head` by layer and head, `head.position`, ...
    pub sites: Vec<SiteChoice>,
    /// What is measured where the answer is read: `logit_difference`, `probability`, `kl` or `loss`.
    pub metric: Metric,
    /// `denoise` estimates what the corrupted text gains by activations of the clean one, `noise` what the clean text loses by those of the corrupted
    /// one.
    pub direction: Direction,
    /// Steps of integrated gradients, from the embeddings of the text that runs to those of the other one; 0 for the gradient at the former alone.
    pub steps: usize,
    /// Whether queries and keys get a second estimate, `corrected.SITE`, which computes the softmax anew instead of going along its tangent.
    pub correct_softmax: bool,
    /// Whether the same cells are patched exactly as well, `exact.SITE`, and compared: as many runs as there are cells.
    pub exact: bool,
}

impl Default for AttributionPatchingConfig {
    fn default() -> Self {
        Self {
            sites: [SiteKind::ResidualBefore, SiteKind::Head].map(SiteChoice::of).to_vec(),
            metric: Metric::default(),
            direction: Direction::default(),
            steps: 0,
            correct_softmax: true,
            exact: false,
        }
    }
}
