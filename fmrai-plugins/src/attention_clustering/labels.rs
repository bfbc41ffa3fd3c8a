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
    /// Entropy in nats above which it is labelled `broad`, 0 or more, default 3.8. It was chosen for texts of up to 128
    /// tokens, where uniform attention has 4.85; shorter texts need less. Where a head cannot see all tokens, as in causal
    /// attention, it is lowered by the share of that entropy that such a head can have.
    pub entropy: f64,
    /// Share to the first token above which it is labelled `first`, in [0, 1], default 0.6.
    pub first: f64,
    /// Share to separators above which it is labelled `separator`, in [0, 1], default 0.6.
    pub separator: f64,
    /// Share to full stops and commas above which it is labelled `punctuation`, in [0, 1], default 0.6.
    pub punctuation: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { next: 0.5, previous: 0.5, entropy: 3.8, first: 0.6, separator: 0.6, punctuation: 0.6 }
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
            (LABELS[2], Statistic::Entropy, self.entropy),
            (LABELS[3], Statistic::Share(Pattern::First), self.first),
            (LABELS[4], Statistic::Share(Pattern::Separator), self.separator),
            (LABELS[5], Statistic::Share(Pattern::Punctuation), self.punctuation),
        ]
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let fields = [
            "thresholds.next",
            "thresholds.previous",
            "thresholds.entropy",
            "thresholds.first",
            "thresholds.separator",
            "thresholds.punctuation",
        ];
        for ((_, statistic, threshold), field) in self.rules().into_iter().zip(fields) {
            let share = matches!(statistic, Statistic::Share(_));
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
        // 1 where all tokens are seen.
        let lowered: Vec<f64> =
            sums.attainable(layout).iter().zip(sums.uniform()).map(|(a, u)| a / u).collect();
        for (name, statistic, threshold) in self.rules() {
            let values = sums.mean(statistic).unwrap_or_default();
            for ((label, value), lowered) in labels.iter_mut().zip(values).zip(&lowered) {
                let by = if statistic == Statistic::Entropy && lowered.is_finite() { *lowered } else { 1.0 };
                if value > threshold * by {
                    *label = name;
                }
            }
        }
        labels
    }
}
