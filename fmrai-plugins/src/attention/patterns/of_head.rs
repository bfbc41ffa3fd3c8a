//! What one head does over one text.

use std::ops::Range;

use fmrai_core::structure::Visible;

use super::mean::Mean;
use super::statistic::{Pattern, STATISTICS, Statistic};
use crate::attention::tokens::TextTokens;
use crate::statistics::entropy::RowEntropy;
use fmrai_core::attention::TextAttention;

/// All statistics of one head over one text: sums over the valid queries that define each, and their number.
pub(super) struct OfHead {
    pub(super) sums: [f64; STATISTICS],
    pub(super) queries: [u32; STATISTICS],
    /// What each share would be if all keys got the same, as a sum over the same queries: among the keys that can be seen, and among all.
    pub(super) chance: [[f64; STATISTICS]; 2],
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
            chance: [[0.0; STATISTICS]; 2],
            attainable: [Mean::default(); 2],
            ahead: [0; 2],
        };
        let marked = |row: &[f32], marks: &[bool]| -> f64 {
            row.iter().zip(marks).filter(|(_, mark)| **mark).map(|(&p, _)| f64::from(p)).sum()
        };
        for query in (0..n).filter(|query| text.is_valid(head, *query)) {
            let row = text.row(head, query);
            // Where the graph does not tell, the rows decide at the end between causal attention and all keys.
            let seen = visible.span(query, n).unwrap_or(0..query + 1);
            let uniform = [&seen, &(0..n)].map(|span| (span.clone(), 1.0 / (span.len() + sinks) as f64));
            let mut add = |statistic: Statistic, value: f64| {
                found.sums[statistic.index()] += value;
                found.queries[statistic.index()] += 1;
            };
            let mut by_chance = |pattern: Pattern, targets: &dyn Fn(&Range<usize>) -> usize| {
                for (chance, (span, each)) in found.chance.iter_mut().zip(&uniform) {
                    chance[Statistic::Share(pattern).index()] += targets(span) as f64 * each;
                }
            };
            let at = |key: usize| move |span: &Range<usize>| usize::from(span.contains(&key));
            let among = |marks: &[bool], span: &Range<usize>| {
                marks.get(span.clone()).map_or(0, |marks| marks.iter().filter(|mark| **mark).count())
            };
            by_chance(Pattern::Itself, &at(query));
            by_chance(Pattern::First, &at(0));
            by_chance(Pattern::Sink, &|_| sinks);
            if query > 0 {
                by_chance(Pattern::Previous, &at(query - 1));
            }
            if query + 1 < n {
                by_chance(Pattern::Next, &at(query + 1));
            }
            if let Some(marks) = &tokens.separator {
                by_chance(Pattern::Separator, &|span| among(marks, span));
                let from =
                    if marks[query] { Pattern::SeparatorFromSeparator } else { Pattern::SeparatorFromRest };
                by_chance(from, &|span| among(marks, span));
            }
            if let Some(marks) = &tokens.punctuation {
                by_chance(Pattern::Punctuation, &|span| among(marks, span));
            }
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
            for (mean, keys) in found.attainable.iter_mut().zip([seen.len(), n]) {
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
