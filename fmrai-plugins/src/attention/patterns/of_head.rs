//! What one head does over one text.

use fmrai_core::structure::Visible;

use super::mean::Mean;
use super::statistic::{Pattern, STATISTICS, Statistic};
use crate::attention::probabilities::TextAttention;
use crate::attention::tokens::TextTokens;
use crate::statistics::entropy::RowEntropy;

/// All statistics of one head over one text: sums over the valid queries that define each, and their number.
pub(super) struct OfHead {
    pub(super) sums: [f64; STATISTICS],
    pub(super) queries: [u32; STATISTICS],
    /// Of the logarithm of the number of keys: of those that can be seen, and of all.
    pub(super) attainable: [Mean; 2],
    /// Entries after the query's own position, and those that are not 0.
    pub(super) ahead: [u64; 2],
}

impl OfHead {
    pub(super) fn of(
        text: &TextAttention<'_>,
        head: usize,
        tokens: &TextTokens,
        entropy: &mut RowEntropy,
        smoothing: f64,
        visible: Visible,
    ) -> Self {
        let (n, sinks) = (text.tokens(), text.sinks(head));
        let mut found = Self {
            sums: [0.0; STATISTICS],
            queries: [0; STATISTICS],
            attainable: [Mean::default(); 2],
            ahead: [0; 2],
        };
        let marked = |row: &[f32], marks: &[bool]| -> f64 {
            row.iter().zip(marks).filter(|(_, mark)| **mark).map(|(&p, _)| f64::from(p)).sum()
        };
        for query in (0..n).filter(|query| text.is_valid(head, *query)) {
            let row = text.row(head, query);
            let mut add = |statistic: Statistic, value: f64| {
                found.sums[statistic.index()] += value;
                found.queries[statistic.index()] += 1;
            };
            add(Statistic::Share(Pattern::Itself), f64::from(row[query]));
            if query > 0 {
                add(Statistic::Share(Pattern::Previous), f64::from(row[query - 1]));
            }
            if query + 1 < n {
                add(Statistic::Share(Pattern::Next), f64::from(row[query + 1]));
            }
            add(Statistic::Share(Pattern::First), f64::from(row[0]));
            if let Some(marks) = &tokens.separator {
                let share = marked(row, marks);
                add(Statistic::Share(Pattern::Separator), share);
                let from =
                    if marks[query] { Pattern::SeparatorFromSeparator } else { Pattern::SeparatorFromRest };
                add(Statistic::Share(from), share);
            }
            if let Some(marks) = &tokens.punctuation {
                add(Statistic::Share(Pattern::Punctuation), marked(row, marks));
            }
            if sinks > 0 {
                add(Statistic::Share(Pattern::Sink), row[n..].iter().map(|&p| f64::from(p)).sum());
            }
            let nats = entropy.nats(row, smoothing);
            add(Statistic::Entropy, nats);
            if query == 0 {
                add(Statistic::FirstTokenEntropy, nats);
            }
            // Where the graph does not tell, the rows decide at the end between causal attention and all keys.
            let seen = visible.keys(query, n).unwrap_or(query + 1);
            for (mean, keys) in found.attainable.iter_mut().zip([seen, n]) {
                mean.add(((keys + sinks) as f64).ln());
            }
            if visible == Visible::Unknown {
                found.ahead[0] += (n - query - 1) as u64;
                found.ahead[1] += row[query + 1..n].iter().filter(|&&p| p > 0.0).count() as u64;
            }
        }
        found
    }
}
