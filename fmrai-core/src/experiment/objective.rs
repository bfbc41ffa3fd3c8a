//! What is measured of a pass, one number for each row.

use super::function::Function;
use super::site::Site;
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

/// An element of a site that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Its place along each axis of the site but that of the rows, in their order.
    pub at: Vec<usize>,
    /// What it is multiplied by.
    pub weight: f64,
}

/// What is measured of a pass: one number for each row.
#[derive(Debug, Clone, PartialEq)]
pub enum Objective {
    /// Something of the logits at some positions.
    Logits {
        /// The logits, `[row, position, token]`.
        logits: TensorId,
        /// What is made of them.
        measure: Measure,
    },
    /// The weighted sum of some elements of a site, after the edits. A row without any has 0.
    Elements {
        /// Where they are.
        site: Site,
        /// Those of each row of the batch.
        rows: Vec<Vec<Element>>,
    },
    /// What a function makes of a site, after the edits. It is shown what the site holds in the rows of the variant, with the axes of the
    /// site, and gives back one number for each row.
    Apply {
        /// Where it looks.
        site: Site,
        /// What it makes of it.
        function: Function,
    },
}

impl Objective {
    /// Something of the logits `[row, position, token]`.
    #[must_use]
    pub fn of_logits(logits: TensorId, measure: Measure) -> Self {
        Self::Logits { logits, measure }
    }

    /// One element of a site in every row of a batch of this many: its place along each axis but that of the rows.
    #[must_use]
    pub fn of_element(site: Site, at: &[usize], rows: usize) -> Self {
        Self::Elements { site, rows: vec![vec![Element { at: at.to_vec(), weight: 1.0 }]; rows] }
    }

    /// The logits and what is made of them, if it is about logits.
    #[must_use]
    pub fn measure(&self) -> Option<(TensorId, &Measure)> {
        match self {
            Self::Logits { logits, measure } => Some((*logits, measure)),
            Self::Elements { .. } | Self::Apply { .. } => None,
        }
    }

    /// The site whose elements count, if it is about a site.
    #[must_use]
    pub fn site(&self) -> Option<&Site> {
        match self {
            Self::Logits { .. } => None,
            Self::Elements { site, .. } | Self::Apply { site, .. } => Some(site),
        }
    }
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
