//! What a run has left out because it could not be used.

use std::collections::BTreeMap;

use fmrai_torch::data::RefusedRecord;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Entries of a list; what is more is counted.
const LISTED: usize = 100;

/// What a run has left out because it could not be used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Records of the data.
    pub records: Left,
    /// Batches that the model failed on.
    pub batches: Left,
    /// Batches that analyses refused, by their names.
    pub analyses: BTreeMap<String, Left>,
}

/// How many of something were left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// How many.
    pub count: u64,
    /// The first of them: which, and why.
    pub first: Vec<String>,
}

impl Left {
    fn add(&mut self, what: String) {
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(what);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        let room = LISTED.saturating_sub(self.first.len());
        self.first.extend(other.first.iter().take(room).cloned());
    }
}

impl Skipped {
    pub(super) fn record(&mut self, RefusedRecord { what }: RefusedRecord) {
        tracing::debug!(what, "a record was left out");
        self.records.add(what);
    }

    pub(super) fn batch(&mut self, index: u64, samples: &[u64], why: &str) {
        let samples = match samples {
            [first, .., last] => format!(" (samples {first} to {last})"),
            [one] => format!(" (sample {one})"),
            [] => String::new(),
        };
        tracing::warn!(index, why, "the model failed on a batch, which is left out");
        self.batches.add(format!("batch {index}{samples}: {why}"));
    }

    pub(super) fn refused(&mut self, analysis: &str, index: u64, why: &str) {
        tracing::warn!(analysis, index, why, "an analysis refused a batch, which it goes on without");
        self.analyses.entry(analysis.to_owned()).or_default().add(format!("batch {index}: {why}"));
    }

    /// True if nothing was left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what was left out of later batches.
    pub(super) fn merge(&mut self, other: &Self) {
        self.records.merge(&other.records);
        self.batches.merge(&other.batches);
        for (name, left) in &other.analyses {
            self.analyses.entry(name.clone()).or_default().merge(left);
        }
    }

    /// A sentence for each kind of thing that was left out.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut tell = |Left { count, first }: &Left, one: &str, many: &str, who: &str| {
            if let Some(first) = first.first() {
                let what = if *count == 1 { one } else { many };
                lines.push(format!("{count} {what}{who} left out, the first: {first}"));
            }
        };
        tell(&self.records, "record was", "records were", "");
        tell(&self.batches, "batch was", "batches were", "");
        for (name, left) in &self.analyses {
            tell(left, "batch was", "batches were", &format!(" refused by {name:?} and"));
        }
        lines
    }

    /// The same for the summary of the run.
    pub(super) fn document(&self) -> Value {
        json!(self)
    }
}
