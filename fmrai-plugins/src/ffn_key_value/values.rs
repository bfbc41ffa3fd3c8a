//! Vectors as distributions over the vocabulary.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::projection::Projection;

/// Vectors that are mapped to the vocabulary at a time. The map is arranged anew for each chunk, so few vectors would be slow;
/// their scores take 4 bytes for each of them and token.
pub(super) const CHUNK: usize = 128;

/// `p = softmax(scores)` of some vectors, as far as it is reported.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Distributions {
    /// Number of tokens listed of each.
    pub(super) listed: usize,
    /// `[vector, listed]`, most probable first, of equal ones the smaller id first.
    pub(super) tokens: Vec<u32>,
    /// Their probabilities.
    pub(super) probabilities: Vec<f64>,
    /// Rank of the target in `p`, from 1; 0 where there is no target.
    pub(super) ranks: Vec<u32>,
    /// Probability of the target; NaN where there is none.
    pub(super) target_probabilities: Vec<f64>,
}

impl Distributions {
    /// The most probable tokens of a vector with their probabilities.
    pub(super) fn of(&self, vector: usize) -> impl Iterator<Item = (u32, f64)> + '_ {
        let range = vector * self.listed..(vector + 1) * self.listed;
        let tokens = self.tokens.get(range.clone()).unwrap_or_default().iter().copied();
        tokens.zip(self.probabilities.get(range).unwrap_or_default().iter().copied())
    }

    /// The most probable token of a vector, and its probability.
    pub(super) fn top(&self, vector: usize) -> Option<(u32, f64)> {
        self.of(vector).next()
    }

    fn extend(&mut self, other: Self) {
        self.tokens.extend(other.tokens);
        self.probabilities.extend(other.probabilities);
        self.ranks.extend(other.ranks);
        self.target_probabilities.extend(other.target_probabilities);
    }
}

/// The distributions of vectors `[vector, channel]`. A target outside of the vocabulary is none. The reason where the vectors do
/// not fit.
pub(super) fn distributions(
    projection: &Projection,
    vectors: ArrayView2<'_, f32>,
    targets: &[Option<u32>],
    listed: usize,
) -> Result<Distributions, String> {
    let listed = listed.min(projection.tokens());
    let chunks: Vec<_> = vectors.axis_chunks_iter(Axis(0), CHUNK).zip(targets.chunks(CHUNK)).collect();
    let parts: Vec<Result<Distributions, String>> = chunks
        .into_par_iter()
        .map(|(vectors, targets)| {
            let scores = projection.scores(vectors)?;
            let mut part = Distributions { listed, ..Distributions::default() };
            for (row, target) in scores.rows().into_iter().zip(targets) {
                match row.as_slice() {
                    Some(row) => part.add(row, *target),
                    None => part.add(&row.to_vec(), *target),
                }
            }
            Ok(part)
        })
        .collect();
    let mut all = Distributions { listed, ..Distributions::default() };
    for part in parts {
        all.extend(part?);
    }
    Ok(all)
}

impl Distributions {
    fn add(&mut self, scores: &[f32], target: Option<u32>) {
        let top = largest(scores, self.listed);
        let most = top.first().map_or(0.0, |t| f64::from(t.0));
        let sum: f64 = scores.iter().map(|&s| (f64::from(s) - most).exp()).sum();
        let probability = |score: f32| (f64::from(score) - most).exp() / sum;
        for &(score, token) in &top {
            self.tokens.push(token);
            self.probabilities.push(probability(score));
        }
        let target = target.and_then(|t| Some((t as usize, *scores.get(t as usize)?)));
        match target {
            None => {
                self.ranks.push(0);
                self.target_probabilities.push(f64::NAN);
            }
            Some((at, score)) => {
                let above = scores.iter().filter(|s| **s > score).count();
                let equal = scores.get(..at).unwrap_or_default().iter().filter(|s| **s == score).count();
                self.ranks.push(u32::try_from(above + equal + 1).unwrap_or(u32::MAX));
                self.target_probabilities.push(probability(score));
            }
        }
    }
}

/// The `count` largest scores with their places, largest first, of equal ones the first place first.
pub(super) fn largest(scores: &[f32], count: usize) -> Vec<(f32, u32)> {
    let mut top: Vec<(f32, u32)> = Vec::with_capacity(count + 1);
    let mut least = f32::NEG_INFINITY;
    for (token, &score) in (0u32..).zip(scores) {
        if top.len() == count && score <= least {
            continue;
        }
        let at = top.partition_point(|t| t.0 >= score);
        top.insert(at, (score, token));
        top.truncate(count);
        if let (true, Some(last)) = (top.len() == count, top.last()) {
            least = last.0;
        }
    }
    top
}
