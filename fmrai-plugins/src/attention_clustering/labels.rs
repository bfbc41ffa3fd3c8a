//! The names that Clark et al. give to heads by what they look at most.

use fmrai_core::analyzer::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attention::{HeadLayout, Pattern, PatternSums, Statistic};

/// From where on a head gets a label. The labels are tried in the order of the fields; a later one overrides an
/// earlier one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Share to the next token above which a head is labelled `next`, in [0, 1], default 0.5.
    pub next: f64,
    /// Share to the previous token above which it is labelled `previous`, in [0, 1], default 0.5.
    pub previous: f64,
    /// Share of the entropy that a head can have, that of seeing alike all that it sees, above which it is labelled `broad`, in [0, 1],
    /// default 0.78. The paper has 3.8 nats for texts of 128 tokens, where a head can have 4.85: that share of it.
    pub broad: f64,
    /// Entropy in nats above which a head is labelled `broad`, 0 or more, in place of `broad`; or null, the default. 3.8 is the paper's,
    /// which heads reach in texts of 45 tokens and more only.
    pub entropy: Option<f64>,
    /// Share to the first token above which it is labelled `first`, in [0, 1], default 0.6.
    pub first: f64,
    /// Share to separators above which it is labelled `separator`, in [0, 1], default 0.6.
    pub separator: f64,
    /// Share to full stops and commas above which it is labelled `punctuation`, in [0, 1], default 0.6.
    pub punctuation: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            next: 0.5,
            previous: 0.5,
            broad: 0.78,
            entropy: None,
            first: 0.6,
            separator: 0.6,
            punctuation: 0.6,
        }
    }
}

/// Label of a head above no threshold.
pub(super) const OTHER: &str = "other";

/// All labels, in the order in which they are tried.
pub(super) const LABELS: [&str; 6] = ["next", "previous", "broad", "first", "separator", "punctuation"];

impl Thresholds {
    fn rules(&self) -> [(&'static str, Statistic, f64); 6] {
        [
            (LABELS[0], Statistic::Share(Pattern::Next), self.next),
            (LABELS[1], Statistic::Share(Pattern::Previous), self.previous),
            (LABELS[2], Statistic::Entropy, self.entropy.unwrap_or(self.broad)),
            (LABELS[3], Statistic::Share(Pattern::First), self.first),
            (LABELS[4], Statistic::Share(Pattern::Separator), self.separator),
            (LABELS[5], Statistic::Share(Pattern::Punctuation), self.punctuation),
        ]
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let fields = [
            "thresholds.next",
            "thresholds.previous",
            if self.entropy.is_some() { "thresholds.entropy" } else { "thresholds.broad" },
            "thresholds.first",
            "thresholds.separator",
            "thresholds.punctuation",
        ];
        for ((_, statistic, threshold), field) in self.rules().into_iter().zip(fields) {
            let share = matches!(statistic, Statistic::Share(_)) || self.entropy.is_none();
            let most = if share { 1.0 } else { f64::MAX };
            if !(0.0..=most).contains(&threshold) {
                let valid = if share { "a number from 0 to 1" } else { "a number of nats, 0 or more" };
                return Err(ConfigError { field, found: threshold.to_string(), valid: valid.to_owned() });
            }
        }
        Ok(())
    }

    /// The label of each head. Statistics that no text defines give none.
    pub(super) fn labels(&self, sums: &PatternSums, layout: &HeadLayout) -> Vec<&'static str> {
        let mut labels = vec![OTHER; layout.heads()];
        let attainable = sums.attainable(layout);
        for (name, statistic, threshold) in self.rules() {
            let values = sums.mean(statistic).unwrap_or_default();
            for ((label, value), attainable) in labels.iter_mut().zip(values).zip(&attainable) {
                let relative = statistic == Statistic::Entropy && self.entropy.is_none();
                let threshold = if relative { threshold * attainable } else { threshold };
                if value > threshold {
                    *label = name;
                }
            }
        }
        labels
    }
}
