//! DOT export.

use super::Graph;

/// What a DOT file shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DotOptions {
    /// Heading of the picture.
    pub title: String,
}

/// A graph in the DOT language.
#[must_use]
pub fn to_dot(_graph: &dyn Graph, _options: &DotOptions) -> String {
    String::new()
}
