//! Scores of heads.

/// A score of every head.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scores {
    /// As in the names of tensors and columns.
    pub(super) name: String,
    /// By index of the layout.
    pub(super) values: Vec<f64>,
}
