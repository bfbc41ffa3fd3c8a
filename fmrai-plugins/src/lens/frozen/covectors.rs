//! What is asked of each row: weights of its channels.

use ndarray::Array2;

/// Weights of the channels of some rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Covectors {
    /// For each row a few channels, such as tokens of a vocabulary, with their weights; all others weigh nothing.
    Few(Vec<Vec<(usize, f64)>>),
    /// `[row, channel]`.
    All(Array2<f64>),
}

impl Covectors {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Few(rows) => rows.len(),
            Self::All(rows) => rows.nrows(),
        }
    }

    /// All channels, `width` of them; those beyond are left out.
    pub(super) fn dense(self, width: usize) -> Array2<f64> {
        match self {
            Self::All(rows) => rows,
            Self::Few(rows) => {
                let mut all = Array2::zeros((rows.len(), width));
                for (mut all, row) in all.rows_mut().into_iter().zip(rows) {
                    for (channel, weight) in row {
                        all.get_mut(channel).into_iter().for_each(|sum| *sum += weight);
                    }
                }
                all
            }
        }
    }

    /// Each weight as `change` has it; it is told row and channel.
    pub(super) fn map(self, change: impl Fn(usize, usize, f64) -> f64) -> Self {
        match self {
            Self::Few(rows) => {
                let changed = |(at, row): (usize, Vec<(usize, f64)>)| {
                    row.into_iter().map(|(channel, weight)| (channel, change(at, channel, weight))).collect()
                };
                Self::Few(rows.into_iter().enumerate().map(changed).collect())
            }
            Self::All(mut rows) => {
                rows.indexed_iter_mut().for_each(|((row, channel), x)| *x = change(row, channel, *x));
                Self::All(rows)
            }
        }
    }

    /// For each row the weighted sum of numbers, which `of` gives for row and channel.
    pub(super) fn sums(&self, of: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        match self {
            Self::Few(rows) => {
                let sum = |(at, row): (usize, &Vec<(usize, f64)>)| {
                    row.iter().map(|(channel, weight)| weight * of(at, *channel)).sum()
                };
                rows.iter().enumerate().map(sum).collect()
            }
            Self::All(rows) => {
                let sum = |(at, row): (usize, ndarray::ArrayView1<'_, f64>)| {
                    row.iter().enumerate().map(|(channel, weight)| weight * of(at, channel)).sum()
                };
                rows.rows().into_iter().enumerate().map(sum).collect()
            }
        }
    }

    /// Both together.
    pub(super) fn plus(self, other: Self, width: usize) -> Self {
        match (self, other) {
            (Self::Few(mut one), Self::Few(other)) => {
                one.iter_mut().zip(other).for_each(|(one, other)| one.extend(other));
                Self::Few(one)
            }
            (one, other) => {
                let (mut one, other) = (one.dense(width), other.dense(width));
                if one.dim() == other.dim() {
                    one += &other;
                }
                Self::All(one)
            }
        }
    }
}
