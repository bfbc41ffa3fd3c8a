//! What the clustering has found.

use super::labels::{LABELS, OTHER};
use crate::attention::{HeadLayout, PatternSums};
use crate::statistics::clustering::Clusters;
use crate::statistics::mds::Embedding;

/// Everything that the report shows.
pub(super) struct Findings<'a> {
    pub(super) layout: &'a HeadLayout,
    pub(super) patterns: &'a PatternSums,
    /// Texts in which heads were set against each other.
    pub(super) compared: u64,
    /// `[head, head]`, row-major.
    pub(super) distances: Vec<f64>,
    pub(super) embedding: Embedding,
    pub(super) clusters: Clusters,
    pub(super) labels: Vec<&'static str>,
}

impl Findings<'_> {
    /// The heads of each cluster, in the order of indices.
    pub(super) fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.clusters.count];
        for (head, &c) in self.clusters.ids.iter().enumerate() {
            members[c].push(head);
        }
        members
    }

    pub(super) fn distance(&self, a: usize, b: usize) -> f64 {
        self.distances[a * self.layout.heads() + b]
    }

    /// The head with the smallest sum of distances to the others of its cluster; of equal ones, the first.
    pub(super) fn medoid(&self, members: &[usize]) -> Option<usize> {
        let sum = |&a: &usize| members.iter().map(|&b| self.distance(a, b)).sum::<f64>();
        members.iter().copied().min_by(|a, b| sum(a).total_cmp(&sum(b)))
    }

    /// Mean distance over the pairs of different heads; `None` for a single one.
    pub(super) fn mean_within(&self, members: &[usize]) -> Option<f64> {
        let pairs = members.iter().enumerate().flat_map(|(i, &a)| members[..i].iter().map(move |&b| (a, b)));
        let (sum, count) = pairs.fold((0.0, 0u32), |(s, n), (a, b)| (s + self.distance(a, b), n + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// The most frequent label; of equally frequent ones, the one that Clark et al. try first, `other` last.
    pub(super) fn dominant_label(&self, members: &[usize]) -> &'static str {
        let count = |label: &str| members.iter().filter(|&&m| self.labels[m] == label).count();
        let best = LABELS.into_iter().chain([OTHER]).rev().max_by_key(|label| count(label));
        best.unwrap_or(OTHER)
    }

    /// Mean distance between the different heads of two layers, `[layer, layer]`; NaN where there are none.
    pub(super) fn layer_distances(&self) -> Vec<f64> {
        let (layers, all) = (self.layout.layers(), self.layout.all_layers());
        let mut means = vec![f64::NAN; all * all];
        for one in layers {
            for other in layers {
                let (mut sum, mut count) = (0.0, 0u32);
                for a in one.first..one.first + one.heads {
                    for b in (other.first..other.first + other.heads).filter(|&b| b != a) {
                        sum += self.distance(a, b);
                        count += 1;
                    }
                }
                means[one.layer * all + other.layer] = sum / f64::from(count);
            }
        }
        means
    }
}
