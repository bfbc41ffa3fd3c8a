//! Which keys a query can see.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which keys a query can see besides padding, which none can. In JSON `"unknown"`, `"full"`, `"causal"` or
/// `{"window": {"before": 127, "after": 0}}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visible {
    /// The graph does not tell: the mask depends on data, or on constants that cannot be read.
    #[default]
    Unknown,
    /// All of them.
    Full,
    /// Its own position and all before it.
    Causal,
    /// Its own position and the nearest ones.
    Window {
        /// Positions before its own that it sees; absent where it sees all of them.
        before: Option<u64>,
        /// Positions after its own that it sees; absent where it sees all of them.
        after: Option<u64>,
    },
}

impl Visible {
    /// Positions before and after its own that a query sees, as far as there are any; `None` in a pair where there is no
    /// limit, and in place of the pair where nothing is known.
    #[must_use]
    pub fn reach(self) -> Option<[Option<u64>; 2]> {
        match self {
            Self::Unknown => None,
            Self::Full => Some([None, None]),
            Self::Causal => Some([None, Some(0)]),
            Self::Window { before, after } => Some([before, after]),
        }
    }

    pub(super) fn of_reach(before: Option<u64>, after: Option<u64>) -> Self {
        match (before, after) {
            (None, None) => Self::Full,
            (None, Some(0)) => Self::Causal,
            _ => Self::Window { before, after },
        }
    }

    /// The keys that query `query` of `length` can see, itself included; `None` where nothing is known.
    #[must_use]
    pub fn span(self, query: usize, length: usize) -> Option<Range<usize>> {
        let [before, after] = self.reach()?;
        let limit = |most: usize, reach: Option<u64>| {
            reach.map_or(most, |reach| usize::try_from(reach).map_or(most, |reach| reach.min(most)))
        };
        let first = query - limit(query, before);
        Some(first..query + 1 + limit(length.saturating_sub(query + 1), after))
    }

    /// Number of keys that query `query` of `length` can see, itself included; `None` where nothing is known.
    #[must_use]
    pub fn keys(self, query: usize, length: usize) -> Option<usize> {
        self.span(query, length).map(|span| span.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_query() {
        let window = Visible::Window { before: Some(2), after: Some(1) };
        let keys = |visible: Visible| [0, 1, 4].map(|query| visible.keys(query, 5));
        assert_eq!(keys(Visible::Full), [Some(5); 3]);
        assert_eq!(keys(Visible::Causal), [Some(1), Some(2), Some(5)]);
        assert_eq!(keys(window), [Some(2), Some(3), Some(3)]);
        assert_eq!(Visible::Unknown.keys(0, 5), None);
        assert_eq!(serde_json::to_string(&Visible::Causal).unwrap(), "\"causal\"");
        assert_eq!(serde_json::to_string(&window).unwrap(), r#"{"window":{"before":2,"after":1}}"#);
    }
}
