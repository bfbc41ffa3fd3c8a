//! What path patching can be told.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::activation_patching::Direction;
use crate::metric::Metric;

/// A kind of sender: what is given the output that it has in the other text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// Every attention head.
    Head,
    /// Every feed-forward block.
    Ffn,
    /// The token embeddings.
    Embedding,
}

impl Sender {
    /// Its name in plans and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Ffn => "ffn",
            Self::Embedding => "embedding",
        }
    }
}

/// Which input of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The queries of a head.
    Query,
    /// The keys of a head. Heads that share their keys receive them together.
    Key,
    /// The values of a head. Heads that share their values receive them together.
    Value,
    /// The input of a feed-forward block.
    Ffn,
}

impl Input {
    /// Its name in plans and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::Ffn => "ffn",
        }
    }
}

/// An input of a head or of a feed-forward block, which receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiverInput {
    /// The layer, from 0.
    pub layer: usize,
    /// The head, from 0; absent for a feed-forward block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<usize>,
    /// Which input: `query`, `key` or `value` of the head, or `ffn`.
    pub input: Input,
}

/// A receiver that has a name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The last stream, from which the logits are made.
    Logits,
}

/// What receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Receiver {
    /// `logits`.
    End(End),
    /// An input of a head or of a feed-forward block.
    Input(ReceiverInput),
}

impl Receiver {
    /// The input; `None` for the logits.
    #[must_use]
    pub fn input(&self) -> Option<&ReceiverInput> {
        match self {
            Self::End(End::Logits) => None,
            Self::Input(input) => Some(input),
        }
    }
}

/// `logits`, `query of head L9H6`, `ffn of layer 3`.
impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End(End::Logits) => f.write_str("logits"),
            Self::Input(ReceiverInput { layer, head: Some(head), input }) => {
                write!(f, "{} of head L{layer}H{head}", input.name())
            }
            Self::Input(ReceiverInput { layer, head: None, input }) => {
                write!(f, "{} of layer {layer}", input.name())
            }
        }
    }
}

/// Config of the `path_patching` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PathPatchingConfig {
    /// What sends, each head, feed-forward block and the embeddings by itself: `head`, `ffn`, `embedding`.
    pub senders: Vec<Sender>,
    /// What receives: `["logits"]`, or inputs such as `{"layer": 9, "head": 6, "input": "query"}` and `{"layer": 3, "input": "ffn"}`, all of
    /// them at once.
    pub receivers: Vec<Receiver>,
    /// Whether a path may go through feed-forward blocks on its way (Wang et al. 2023); if not, these are kept as they are in the text that
    /// runs, and a path is a single edge (Goldowsky-Dill et al. 2023).
    pub through_ffn: bool,
    /// What is measured where the answer is read: `logit_difference`, `probability`, `kl` or `loss`.
    pub metric: Metric,
    /// `noise` runs the clean text with outputs of the corrupted one, `denoise` the other way round.
    pub direction: Direction,
}

impl Default for PathPatchingConfig {
    fn default() -> Self {
        Self {
            senders: vec![Sender::Head, Sender::Ffn, Sender::Embedding],
            receivers: vec![Receiver::End(End::Logits)],
            through_ffn: true,
            metric: Metric::default(),
            direction: Direction::Noise,
        }
    }
}
