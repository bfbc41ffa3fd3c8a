//! Names of the axes of a block's tensors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names of the axes of a block's tensors: `batch`, `head`, `batch · head` where the two are merged, `window` for any other
/// axis before them, `query`, `key`, `channel`. Empty for a tensor whose axes are not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttentionAxes {
    /// Those of the queries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<String>,
    /// Those of the keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// Those of the values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub value: Vec<String>,
    /// Those of the probabilities, and of the scores.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probabilities: Vec<String>,
    /// Those of the context.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
}

impl AttentionAxes {
    /// True if nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names of the axes of a part of a block, by the part's name.
    #[must_use]
    pub fn of(&self, part: &str) -> Option<&[String]> {
        let names = match part {
            "query" => &self.query,
            "key" => &self.key,
            "value" => &self.value,
            "scores" | "probabilities" => &self.probabilities,
            "context" => &self.context,
            _ => return None,
        };
        (!names.is_empty()).then_some(names.as_slice())
    }
}
