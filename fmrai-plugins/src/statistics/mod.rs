//! Divergences, embeddings and clusterings: plain functions of plain numbers.

pub mod clustering;
pub mod divergence;
pub mod entropy;
pub mod gram;
mod log2;
pub mod mds;
mod ranks;
mod seriation;
pub mod silhouette;
mod wilson;

pub use ranks::rank_correlation;
pub use seriation::similar_side_by_side;
pub use wilson::wilson;

/// A numerical solver did not find its solution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{solver} failed: {reason}")]
pub struct SolverError {
    /// What was to be solved.
    pub solver: &'static str,
    /// What its library says.
    pub reason: String,
}

impl SolverError {
    fn new(solver: &'static str, reason: impl std::fmt::Display) -> Self {
        Self { solver, reason: reason.to_string() }
    }
}
