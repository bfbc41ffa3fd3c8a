//! What input attribution can be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// How a number is found for each token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The norm of the gradient.
    Saliency,
    /// The embedding times the gradient.
    InputXGradient,
    /// The gradient along the way from a baseline.
    IntegratedGradients,
    /// Attention, followed through the layers.
    Rollout,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Saliency, Self::InputXGradient, Self::IntegratedGradients, Self::Rollout];

    /// As in plans, tensors and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Saliency => "saliency",
            Self::InputXGradient => "input_x_gradient",
            Self::IntegratedGradients => "integrated_gradients",
            Self::Rollout => "rollout",
        }
    }

    /// In words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Saliency => "saliency",
            Self::InputXGradient => "input × gradient",
            Self::IntegratedGradients => "integrated gradients",
            Self::Rollout => "attention rollout",
        }
    }

    /// Before a line of tokens.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Saliency => "saliency",
            Self::InputXGradient => "x × gradient",
            Self::IntegratedGradients => "integrated",
            Self::Rollout => "rollout",
        }
    }
}

/// Which text of a pair is attributed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The clean one.
    #[default]
    Clean,
    /// The corrupted one.
    Corrupted,
}

/// The token that is attributed where the data are no pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The most probable next token at the last token of the text.
    #[default]
    Prediction,
    /// The last token of the text, at the one before it. Texts of one token are left out.
    LastToken,
}

/// Config of the `input_attribution` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InputAttributionConfig {
    /// How a number is found for each token: `saliency`, `input_x_gradient`, `integrated_gradients`, `rollout`.
    pub methods: Vec<Method>,
    /// What is attributed: `logit_difference`, `probability`, `loss`; `kl` for corrupted texts alone.
    pub metric: Metric,
    /// Of pairs, the `clean` or the `corrupted` texts.
    pub of: Which,
    /// Of texts that are no pairs, the token: `prediction` or `last_token`.
    pub target: Target,
    /// Where integrated gradients start: `zero`, `mean` (of the embedding's table), or `token:ID`.
    pub baseline: String,
    /// Nodes that integration begins with.
    pub n_steps: usize,
    /// Nodes that it is given up with.
    pub max_steps: usize,
    /// Completeness error that is good enough: a share of the difference that is attributed.
    pub bound: f64,
    /// Bytes that the passes of integration may take at once, about: nodes run as rows of one batch.
    pub memory: u64,
    /// Texts that results by text are kept of: those that come first in the data.
    pub texts: usize,
}

impl Default for InputAttributionConfig {
    fn default() -> Self {
        Self {
            methods: Method::ALL.to_vec(),
            metric: Metric::default(),
            of: Which::default(),
            target: Target::default(),
            baseline: "zero".to_owned(),
            n_steps: 32,
            max_steps: 512,
            bound: 0.01,
            memory: 1 << 30,
            texts: 20,
        }
    }
}
