//! What steering can be told.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// The tokens of a text that a direction is taken from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Positions {
    /// The one where the answer is read.
    #[default]
    Last,
    /// All that the tokenizer has not added.
    All,
    /// Those of a mark in the data.
    Mark(String),
}

impl From<String> for Positions {
    fn from(text: String) -> Self {
        match text.as_str() {
            "last" => Self::Last,
            "all" => Self::All,
            _ => Self::Mark(text),
        }
    }
}

impl From<Positions> for String {
    fn from(positions: Positions) -> Self {
        match positions {
            Positions::Last => "last".to_owned(),
            Positions::All => "all".to_owned(),
            Positions::Mark(mark) => mark,
        }
    }
}

/// A direction that is known already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum GivenDirection {
    /// It is in a file.
    File(DirectionFile),
    /// `[channel]`, used in every layer.
    One(Vec<f64>),
    /// `[stream, channel]`: one for the stream before each layer, and perhaps one more for the one after the last.
    Each(Vec<Vec<f64>>),
}

/// A direction in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectionFile {
    /// A safetensors file, such as the `tensors.safetensors` of an analysis; relative paths start from the folder of the plan.
    pub path: PathBuf,
    /// The tensor: `[channel]`, used in every layer, or `[stream, channel]`, one for the stream before each layer, and perhaps one more for the one
    /// after the last.
    #[serde(default = "direction")]
    pub tensor: String,
}

fn direction() -> String {
    "direction".to_owned()
}

/// Config of the `steering` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SteeringConfig {
    /// The tokens that the direction is taken from: `last`, where the answer is read; `all`, the mean over a text's tokens; or the name of a mark
    /// in the data.
    pub positions: Positions,
    /// How many times the direction is added to the stream; 0 is the run as it is.
    pub strengths: Vec<f64>,
    /// What is measured where the answer is read: `logit_difference`, `probability`, `kl` or `loss`.
    pub metric: Metric,
    /// A direction that is known already: `{"path": FILE, "tensor": NAME}`, or its numbers. Where it is absent, the direction comes from the
    /// data, which are then read twice.
    pub direction: Option<GivenDirection>,
}

impl Default for SteeringConfig {
    fn default() -> Self {
        Self {
            positions: Positions::default(),
            strengths: vec![-2.0, -1.0, 0.0, 1.0, 2.0],
            metric: Metric::default(),
            direction: None,
        }
    }
}
