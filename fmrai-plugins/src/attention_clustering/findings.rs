//! What the clustering has found.

use super::labels::{LABELS, OTHER};
use crate::attention::{HeadLayout, PatternSums};
use crate::statistics::clustering::Clusters;
use crate::statistics::mds::Embedding;
use crate::statistics::silhouette::mean;

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
    /// True if the plan fixes the number of clusters.
    pub(super) asked_for: bool,
}

/// A division whose mean silhouette is below this has no substantial structure (Kaufman and Rousseeuw 1990, section 2.2).
const APART: f64 = 0.25;

impl Findings<'_> {
    /// The heads of each cluster, in the order of indices.
    pub(super) fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.clusters.count];
        for (head, &c) in self.clusters.ids.iter().enumerate() {
            members[c].push(head);
        }
        members
    }

    /// Mean silhouette of all heads.
    pub(super) fn silhouette(&self) -> f64 {
        mean(&self.clusters.silhouettes)
    }

    /// Mean silhouette of the weakest cluster of more than one head; `None` if there is none.
    fn weakest(&self) -> Option<f64> {
        let of =
            |m: &Vec<usize>| m.iter().map(|&h| self.clusters.silhouettes[h]).sum::<f64>() / m.len() as f64;
        self.members().iter().filter(|m| m.len() > 1).map(of).min_by(f64::total_cmp)
    }

    /// True if all clusters are apart enough to be called so.
    pub(super) fn apart(&self) -> bool {
        self.clusters.count > 1 && self.silhouette() >= APART && self.weakest().is_none_or(|own| own >= APART)
    }

    /// True if figures show the clusters: those that are apart, and those that the plan asks for.
    pub(super) fn has_clusters(&self) -> bool {
        self.clusters.count > 1 && (self.asked_for || self.apart())
    }

    /// The sentence that says how far the clusters can be trusted.
    pub(super) fn told_clusters(&self) -> String {
        let (count, silhouette) = (self.clusters.count, self.silhouette());
        let weakest = self.weakest().unwrap_or(silhouette);
        let below = format!(
            "mean silhouette {silhouette:.3}, its weakest cluster {weakest:.3}; below {APART} there is no substantial structure"
        );
        match (count, self.apart(), self.asked_for) {
            (0 | 1, _, _) => "There is one cluster.".to_owned(),
            (_, true, _) => format!("{count} clusters, mean silhouette {silhouette:.2}."),
            (_, _, true) => format!(
                "The {count} clusters that were asked for are hardly apart: the division has {below}."
            ),
            _ => format!("No clusters are shown: the best division, into {count}, has {below}."),
        }
    }

    /// The heads of each cluster that is shown; all of them as one where none is.
    pub(super) fn shown_groups(&self) -> Vec<Vec<usize>> {
        if self.has_clusters() { self.members() } else { vec![(0..self.layout.heads()).collect()] }
    }

    /// The distances of different heads, each pair once.
    fn pairs(&self) -> Vec<f64> {
        let heads = self.layout.heads();
        (0..heads).flat_map(|a| (0..a).map(move |b| (a, b))).map(|(a, b)| self.distance(a, b)).collect()
    }

    /// The largest distance of two heads; 0 for a single one.
    pub(super) fn most(&self) -> f64 {
        self.pairs().into_iter().fold(0.0, f64::max)
    }

    /// The distance that this share of the pairs does not exceed; the largest one where that is little more.
    pub(super) fn scale_top(&self, share: f64) -> f64 {
        let mut pairs = self.pairs();
        pairs.sort_by(f64::total_cmp);
        let Some(last) = pairs.len().checked_sub(1) else { return 0.0 };
        let (inner, most) = (pairs[(share * last as f64).round() as usize], pairs[last]);
        if inner > 0.0 && most > 1.25 * inner { inner } else { most }
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
