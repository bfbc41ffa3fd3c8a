//! Which attention heads look alike: Clark, Khandelwal, Levy and Manning 2019, "What Does BERT Look At? An Analysis of
//! BERT's Attention", section 6, with clusters and scores beside its map.
//!
//! The distance of two heads is the Jensen-Shannon divergence of their attention rows, `H((p + q) / 2) - (H(p) + H(q)) /
//! 2`, in nats: the mean over the valid queries of a text, then over texts, each weighing the same. It is within [0, ln
//! 2], 0 for heads that always look alike, ln 2 for heads that never look at the same token.
//!
//! - Map: metric multidimensional scaling of the distances in the plane ([`crate::statistics::mds`]).
//! - Clusters: k-means (linfa) on the principal coordinates in which squared distances *are* the divergences
//!   ([`crate::statistics::clustering`]), not on the map, whose two axes cannot hold them; the number of clusters has the
//!   largest mean silhouette over the distances.
//! - Labels: the thresholds of the paper's figure 6 (`next`, `previous`, `broad`, `first`, `separator`, `punctuation`; a
//!   later one overrides an earlier one), from the statistics of [`crate::attention_patterns`]; that of `broad` as a share of the
//!   entropy that a head can have, which short texts bound.
//!
//! Differences to the authors' code: it sums the divergences over queries and texts, so that long texts weigh more and
//! the numbers grow with the data (its README says *average*); it smooths rows, `0.999 A + 0.001 / n` (`smoothing:
//! 0.001`); its clusters are its labels, there is no clustering algorithm; its broad heads are those whose smoothed
//! entropy is above 3.8.
//!
//! Rows are distributions over a text's tokens and the attention sinks, where there are any. A query for which the row of
//! some head is none is left out for all of them. Only heads that look at the same tokens can be set against each other: of a
//! model with several sequences those of one are, the others are left out by name.
//!
//! Memory: 8 bytes for each pair of heads, and the attention of one text at a time.

mod analyzer;
mod config;
mod figures;
mod findings;
mod labels;
mod registration;
mod report;

pub use analyzer::AttentionClustering;
pub use config::AttentionClusteringConfig;
pub use labels::Thresholds;
