//! What is measured of a pass, one number for each row.

use crate::graph::TensorId;

/// The tokens that are compared at one position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The position whose logits count, in the padded row.
    pub position: usize,
    /// The tokens that are right.
    pub right: Vec<u32>,
    /// The tokens that are wrong; may be empty.
    pub wrong: Vec<u32>,
}

/// What the probabilities of a row are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The row of the batch, as it is in the clean pass.
    pub row: usize,
    /// The positions that count, in the padded row.
    pub positions: Vec<usize>,
}

/// How the logits of a row become one number. Each list has one entry for each row of the batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// Mean logit of the right tokens minus mean logit of the wrong ones; without wrong ones, the former alone.
    LogitDifference(Vec<Answer>),
    /// Sum of the probabilities of the right tokens.
    Probability(Vec<Answer>),
    /// Minus the logarithm of that sum, in nats.
    Loss(Vec<Answer>),
    /// Mean of minus the log probability, in nats, of a token at each of these positions: `(position, token)`. A row without any has NaN.
    NextToken(Vec<Vec<(usize, u32)>>),
    /// Mean over positions of `KL(clean ‖ this pass)` of the probabilities, in nats.
    Divergence(Vec<Reference>),
}

/// What is measured of a pass: one number for each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The logits, `[row, position, token]`.
    pub logits: TensorId,
    /// What is made of them.
    pub measure: Measure,
}

impl Measure {
    /// Number of rows that it is told for.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::LogitDifference(rows) | Self::Probability(rows) | Self::Loss(rows) => rows.len(),
            Self::NextToken(rows) => rows.len(),
            Self::Divergence(rows) => rows.len(),
        }
    }

    /// The positions of a row whose logits count, ascending, each once.
    #[must_use]
    pub fn positions(&self, row: usize) -> Vec<usize> {
        let mut positions: Vec<usize> = match self {
            Self::LogitDifference(rows) | Self::Probability(rows) | Self::Loss(rows) => {
                rows.get(row).map(|answer| answer.position).into_iter().collect()
            }
            Self::NextToken(rows) => {
                rows.get(row).map(|row| row.iter().map(|(at, _)| *at).collect()).unwrap_or_default()
            }
            Self::Divergence(rows) => rows.get(row).map(|row| row.positions.clone()).unwrap_or_default(),
        };
        positions.sort_unstable();
        positions.dedup();
        positions
    }
}
