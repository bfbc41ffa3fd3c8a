//! Which keys the queries of a layer see.

use fmrai_core::structure::Visible;

use super::statistic::{Pattern, Statistic};

/// What the queries of a layer see, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Which keys.
    pub visible: Visible,
    /// True where the graph does not tell, and all rows are 0 above the diagonal.
    pub observed: bool,
}

impl Sight {
    /// In words, for tables: `all`, `causal`, `window of 3 before and 0 after`, `causal (observed)`.
    #[must_use]
    pub fn words(self) -> String {
        let side = |reach: Option<u64>| reach.map_or_else(|| "all".to_owned(), |reach| reach.to_string());
        let what = match self.visible {
            Visible::Unknown => "unknown".to_owned(),
            Visible::Full => "all".to_owned(),
            Visible::Causal => "causal".to_owned(),
            Visible::Window { before, after } => {
                format!("window of {} before and {} after", side(before), side(after))
            }
        };
        if self.observed { format!("{what} (observed)") } else { what }
    }

    /// True if a statistic can only be 0, whatever the model has learned.
    #[must_use]
    pub fn only_zero(self, statistic: Statistic, sinks: usize) -> bool {
        let Some([before, after]) = self.visible.reach() else { return false };
        match statistic {
            Statistic::Share(Pattern::Previous) => before == Some(0),
            Statistic::Share(Pattern::Next) => after == Some(0),
            Statistic::FirstTokenEntropy => after == Some(0) && sinks == 0,
            _ => false,
        }
    }
}
