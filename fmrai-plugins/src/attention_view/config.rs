//! Which texts are kept, and how much of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Config of the `attention_view` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttentionViewConfig {
    /// Numbers of the texts, from 0 in the order of the data. Where it is empty, the first ones are taken. Default none.
    pub numbers: Vec<u64>,
    /// Only texts that have this in them, letter for letter; all where it is empty. Default empty.
    pub containing: String,
    /// Most texts that are kept, those with the smallest numbers. 1 to 1000, default 4.
    pub texts: usize,
    /// Tokens of each text that are kept, from its first one on. 1 to 4096, default 64.
    pub max_tokens: usize,
    /// Probabilities of all texts together: each text costs layers x heads x tokens x tokens. The first one is cut to what fits, later ones are
    /// left out where they do not fit. 1 to 100,000,000, default 1,000,000.
    pub max_values: usize,
}

impl Default for AttentionViewConfig {
    fn default() -> Self {
        Self {
            numbers: Vec::new(),
            containing: String::new(),
            texts: 4,
            max_tokens: 64,
            max_values: 1_000_000,
        }
    }
}

impl AttentionViewConfig {
    /// True if a text is one of those that are chosen, whatever their number.
    pub(super) fn chooses(&self, id: u64, text: Option<&str>) -> bool {
        let named = self.numbers.is_empty() || self.numbers.contains(&id);
        named && (self.containing.is_empty() || text.is_some_and(|text| text.contains(&self.containing)))
    }
}
