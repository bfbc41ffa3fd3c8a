//! What head detection can be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is computed of heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// `previous_token`, `duplicate_token` and `induction` on the data.
    Data,
    /// The same on repeated random tokens.
    Repeated,
    /// `prefix_matching`.
    PrefixMatching,
    /// `copying`.
    Copying,
    /// `composition.q`, `.k` and `.v`.
    Composition,
    /// `in_context_learning`.
    InContextLearning,
}

/// The repeated random tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Repeats {
    /// Random tokens of a row, before they are repeated. Fewer where the model has not so many positions.
    pub length: usize,
    /// How often they stand in the row.
    pub times: usize,
    /// Rows.
    pub rows: usize,
    /// Seed of the tokens, also of those for `prefix_matching`.
    pub seed: u64,
    /// Rows of token ids of one length, in place of random ones. They are taken as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<Vec<u32>>>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { length: 50, times: 2, rows: 8, seed: 0, ids: None }
    }
}

/// The tokens whose losses are compared, counted from 0, special ones included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InContextLearning {
    /// The early one, 1 or later: the first token is not predicted.
    pub early: usize,
    /// The late one. Texts without such a token are left out.
    pub late: usize,
}

impl Default for InContextLearning {
    fn default() -> Self {
        Self { early: 50, late: 500 }
    }
}

/// What composition is compared with: matrices of independent normal numbers in the shapes of the model's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Baseline {
    /// How many are drawn; with 0, nothing is subtracted.
    pub draws: usize,
    /// Seed of the draws.
    pub seed: u64,
}

/// Config of the `head_detection` analysis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HeadDetectionConfig {
    /// What is computed: `data`, `repeated`, `prefix_matching`, `copying`, `composition`, `in_context_learning`. Absent for all, but for `composition` where
    /// that takes more than a few minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<Score>>,
    /// The repeated random tokens.
    pub repeats: Repeats,
    /// The tokens whose losses are compared.
    pub in_context_learning: InContextLearning,
    /// What is subtracted from compositions: what random matrices have. With `draws` 0, nothing.
    pub baseline: Baseline,
}

impl HeadDetectionConfig {
    /// Whether something is computed.
    pub(super) fn has(&self, score: Score) -> bool {
        self.scores.as_ref().is_none_or(|scores| scores.contains(&score))
    }

    /// Whether something is computed at whatever cost.
    pub(super) fn insists(&self, score: Score) -> bool {
        self.scores.as_ref().is_some_and(|scores| scores.contains(&score))
    }
}
