//! Which batches of the data a run is about, and which of them are absorbed.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Some of the batches of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// The first one, from 0.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
    /// How many the data have.
    pub of: u64,
}

/// Which batches of the data a run is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// All of them, from the first on.
    #[default]
    Whole,
    /// Some of them.
    Part(Stretch),
    /// Those of parts that were merged.
    Merged {
        /// How many the data have.
        of: u64,
        /// From which to before which, in order.
        batches: Vec<(u64, u64)>,
    },
}

impl Share {
    /// The batches that are absorbed where the next one is `next`, in order.
    #[must_use]
    pub fn absorbed(&self, next: u64) -> Vec<Range<u64>> {
        let one = |range: Range<u64>| std::iter::once(range).collect();
        match self {
            Self::Whole => one(0..next),
            Self::Part(part) => one(part.from..next.max(part.from)),
            Self::Merged { batches, .. } => batches.iter().map(|(from, to)| *from..*to).collect(),
        }
    }

    /// The batches that are still to be absorbed where the next one is `next`.
    #[must_use]
    pub fn left(&self, next: u64) -> Range<u64> {
        match self {
            Self::Part(part) if next < part.to => next..part.to,
            _ => next..next,
        }
    }

    /// How many batches the data have, where that is known.
    #[must_use]
    pub fn of(&self) -> Option<u64> {
        match self {
            Self::Whole => None,
            Self::Part(part) => Some(part.of),
            Self::Merged { of, .. } => Some(*of),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        *self == Self::Whole
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("all of the data"),
            Self::Part(Stretch { from, to, of }) => write!(f, "{} of {of}", batches(&(*from..*to))),
            Self::Merged { of, batches: merged } => {
                let merged: Vec<String> = merged.iter().map(|(from, to)| batches(&(*from..*to))).collect();
                write!(f, "merged parts: {} of {of}", merged.join(", "))
            }
        }
    }
}

/// Batches in words: `12 to 23`, `7`.
#[must_use]
pub fn batches(range: &Range<u64>) -> String {
    match range.end.saturating_sub(range.start) {
        0 => "no batches".to_owned(),
        1 => format!("batch {}", range.start),
        _ => format!("batches {} to {}", range.start, range.end.saturating_sub(1)),
    }
}
