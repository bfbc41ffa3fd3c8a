//! What direct logit attribution can be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The logit that is attributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Of pairs of texts, at the last token of the clean one: the mean logit of the right tokens less that of the wrong ones, or the
    /// mean logit of the right ones where none is wrong.
    Answer,
    /// At each position that has one, the logit of the token that the text has next.
    NextToken,
}

/// Config of the `direct_logit_attribution` analysis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DirectLogitAttributionConfig {
    /// The logit that is attributed: `answer` or `next_token`. Of pairs only the clean texts count. Not given: `answer` for texts of
    /// pairs, `next_token` for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Neurons listed: those that add or take away most. 0 to 10000, default 0, which leaves neurons out. Memory otherwise: 8 bytes for
    /// each neuron of the model, and the weights of its feed-forward blocks.
    pub neurons: usize,
}
