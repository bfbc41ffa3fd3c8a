//! How much is answered.

/// Most rows of a section, or of a query.
pub(super) const MOST_ROWS: usize = 1000;
