//! How well a text is answered, as one number.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Sample;
use fmrai_core::experiment::{Answer, Measure, Objective, Reference};
use fmrai_core::graph::TensorId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pairs::{PairRows, answer_position, pairs_of};

/// How well a text is answered, at the position where its answer is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean logit of the right answers minus mean logit of the wrong ones; the former alone where there are none.
    #[default]
    LogitDifference,
    /// Sum of the probabilities of the right answers.
    Probability,
    /// Divergence of the probabilities from those of the clean text, `KL(clean ‖ run)`, in nats.
    Kl,
    /// Minus the logarithm of the probability of the right answers, in nats.
    Loss,
}

impl Metric {
    /// What it is, for headings.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::LogitDifference => "logit difference",
            Self::Probability => "probability of the answer",
            Self::Kl => "divergence from the clean text",
            Self::Loss => "loss on the answer",
        }
    }

    /// Its unit; `None` for plain numbers.
    #[must_use]
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::LogitDifference | Self::Probability => None,
            Self::Kl | Self::Loss => Some("nats"),
        }
    }

    /// What is measured of each row of a batch of pairs.
    ///
    /// # Errors
    /// [`AnalyzerError::UnsuitableData`] where the data are no pairs, or their texts differ in length and the metric compares positions.
    pub fn objective(self, logits: TensorId, samples: &[Sample]) -> Result<Objective, AnalyzerError> {
        let pairs = pairs_of(samples)?;
        let answers = || -> Vec<Answer> {
            let each = |pair: &PairRows<'_>| {
                pair.samples.map(|sample| Answer {
                    position: answer_position(sample),
                    right: pair.pair.right.clone(),
                    wrong: pair.pair.wrong.clone(),
                })
            };
            pairs.iter().flat_map(each).collect()
        };
        let measure = match self {
            Self::LogitDifference => Measure::LogitDifference(answers()),
            Self::Probability => Measure::Probability(answers()),
            Self::Loss => Measure::Loss(answers()),
            Self::Kl => {
                if let Some(pair) = pairs.iter().find(|pair| !pair.aligned()) {
                    return Err(AnalyzerError::UnsuitableData {
                        found: pair.lengths(),
                        needed: "as many in both texts of every pair for the metric kl".to_owned(),
                    });
                }
                let each = |pair: &PairRows<'_>| {
                    pair.samples
                        .map(|sample| Reference { row: pair.clean, positions: vec![answer_position(sample)] })
                };
                Measure::Divergence(pairs.iter().flat_map(each).collect())
            }
        };
        Ok(Objective::of_logits(logits, measure))
    }
}
