//! What the logit lens can be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which texts of the data count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextsOf {
    /// All of them.
    #[default]
    All,
    /// Of pairs of texts the clean ones.
    Clean,
}

/// The token of a position whose probability is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The next one of the text: what a decoder predicts there.
    NextToken,
    /// The one that stands there: what a masked language model predicts there.
    OwnToken,
}

/// Config of the `logit_lens` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogitLensConfig {
    /// True to read the stream between attention and feed-forward block too, where a block has one. Default true.
    pub between: bool,
    /// The token whose probability and rank are told: `next_token` or `own_token`. Not given: `own_token` where queries are known to see
    /// tokens after their own (encoders), else `next_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Which texts count: `all`, or `clean` for the clean ones of pairs of texts. Default `all`.
    pub of: TextsOf,
    /// First texts of the data of which the grid is kept: what is read at each token and layer. 0 to 100, default 3. Memory: 16 bytes for
    /// each of their tokens, layer and token listed.
    pub texts: usize,
    /// Most probable tokens listed for each cell of the grid. 1 to 100, default 5.
    pub top_k: usize,
}

impl Default for LogitLensConfig {
    fn default() -> Self {
        Self { between: true, target: None, of: TextsOf::All, texts: 3, top_k: 5 }
    }
}
