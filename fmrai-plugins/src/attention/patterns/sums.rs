//! What is counted of all heads, over texts.

use fmrai_core::structure::Visible;
use rayon::prelude::*;

use super::mean::mean_of;
use super::of_head::OfHead;
use super::sight::Sight;
use super::statistic::{Pattern, STATISTICS, Statistic};
use crate::attention::tokens::TextTokens;
use crate::statistics::entropy::RowEntropy;
use fmrai_core::attention::TextAttention;
use fmrai_core::attention::{HeadLayout, LayerHeads};

/// Sums over texts of every [`Statistic`] of every head; two of them add up to that of both parts of the data.
///
/// Within a text a statistic is the mean over the queries for which it is defined; over texts, the mean of the texts
/// for which it is defined, each weighing the same. Rows that are no distributions are counted and left out.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternSums {
    pub(super) heads: usize,
    pub(super) streams: usize,
    /// `[statistic, head]`.
    pub(super) sums: Vec<f64>,
    /// `[statistic, head]`: texts that define it.
    pub(super) defined: Vec<u64>,
    /// `[2, statistic, head]`: what the shares would be if all keys got the same, of those that can be seen and of all; NaN after a
    /// state of an earlier version, which has none.
    pub(super) chance: Vec<f64>,
    /// `[2, head]`: mean over queries of the logarithm of the number of keys, of those that can be seen and of all.
    pub(super) attainable: Vec<f64>,
    /// `[2, head]`: rows, and those left out.
    pub(super) rows: Vec<u64>,
    /// `[2, head]`: entries after the query's own position, and those that are not 0.
    pub(super) ahead: Vec<u64>,
    /// `[stream, 3]`: texts with a valid row, their tokens, texts without.
    pub(super) texts: Vec<u64>,
    /// Rows that are all zeros.
    pub(super) zero_rows: u64,
    /// The smallest id of a sample with a row left out.
    pub(super) first_left_out: Option<u64>,
}

impl PatternSums {
    /// Nothing absorbed.
    #[must_use]
    pub fn new(layout: &HeadLayout) -> Self {
        let (heads, streams) = (layout.heads(), layout.streams().len());
        Self {
            heads,
            streams,
            sums: vec![0.0; STATISTICS * heads],
            defined: vec![0; STATISTICS * heads],
            chance: vec![0.0; 2 * STATISTICS * heads],
            attainable: vec![0.0; 2 * heads],
            rows: vec![0; 2 * heads],
            ahead: vec![0; 2 * heads],
            texts: vec![0; 3 * streams],
            zero_rows: 0,
            first_left_out: None,
        }
    }

    fn count(&self, stream: usize, which: usize) -> u64 {
        self.texts.get(3 * stream + which).copied().unwrap_or(0)
    }

    /// Number of texts absorbed that have a valid row, of the sequence that has most of them.
    #[must_use]
    pub fn texts(&self) -> u64 {
        (0..self.streams).map(|stream| self.count(stream, 0)).max().unwrap_or(0)
    }

    /// Number of tokens absorbed, padding excluded, in all sequences.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        (0..self.streams).map(|stream| self.count(stream, 1)).sum()
    }

    /// Texts and tokens of one sequence, and texts of it without any valid row.
    #[must_use]
    pub fn of_stream(&self, stream: usize) -> [u64; 3] {
        [0, 1, 2].map(|which| self.count(stream, which))
    }

    /// Rows seen and rows left out of some heads.
    #[must_use]
    pub fn rows(&self, heads: std::ops::Range<usize>) -> [u64; 2] {
        [0, 1].map(|which| self.rows[which * self.heads..][heads.clone()].iter().sum())
    }

    /// Rows left out that are all zeros, and the smallest id of a sample with a row left out.
    #[must_use]
    pub fn left_out(&self) -> (u64, Option<u64>) {
        (self.zero_rows, self.first_left_out)
    }

    /// What the queries of a layer see: what the graph says, or else what all rows have shown.
    #[must_use]
    pub fn sight(&self, layer: &LayerHeads) -> Sight {
        if layer.visible != Visible::Unknown {
            return Sight { visible: layer.visible, observed: false };
        }
        let of =
            |which: usize| self.ahead[which * self.heads..][layer.first..][..layer.heads].iter().sum::<u64>();
        let causal = of(0) > 0 && of(1) == 0;
        Sight { visible: if causal { Visible::Causal } else { Visible::Unknown }, observed: causal }
    }

    /// Largest entropy that each head can have: that of one that sees all keys alike which it can see, as the mean over
    /// queries and texts of the logarithm of their number, in nats. NaN for heads without any valid row.
    #[must_use]
    pub fn attainable(&self, layout: &HeadLayout) -> Vec<f64> {
        let sight: Vec<Sight> = layout.layer_of_heads().map(|layer| self.sight(layer)).collect();
        let texts = &self.defined[Statistic::Entropy.index() * self.heads..][..self.heads];
        (0..self.heads)
            .map(|head| {
                let all = sight[head].visible == Visible::Unknown;
                self.attainable[usize::from(all) * self.heads + head] / texts[head] as f64
            })
            .collect()
    }

    /// What a share would be of a head that sees alike all keys that it can see, by head; NaN where that is not known.
    #[must_use]
    pub fn chance(&self, layout: &HeadLayout, pattern: Pattern) -> Vec<f64> {
        let index = Statistic::Share(pattern).index();
        let sight = layout.layer_of_heads().map(|layer| self.sight(layer));
        let of = |(head, sight): (usize, Sight)| {
            let all = usize::from(sight.visible == Visible::Unknown);
            let sum = self.chance[(all * STATISTICS + index) * self.heads + head];
            sum / self.defined[index * self.heads + head] as f64
        };
        sight.enumerate().map(of).collect()
    }

    /// The mean of [`Self::attainable`] over heads; exactly that of each where it is the same. `None` before any text.
    #[must_use]
    pub fn uniform_entropy(&self, layout: &HeadLayout) -> Option<f64> {
        mean_of(self.attainable(layout).into_iter())
    }

    /// One number per head, NaN where no text defines it for the head; `None` if none does for any.
    #[must_use]
    pub fn mean(&self, statistic: Statistic) -> Option<Vec<f64>> {
        let own = statistic.index() * self.heads..(statistic.index() + 1) * self.heads;
        let (sums, texts) = (&self.sums[own.clone()], &self.defined[own]);
        let known = texts.iter().any(|texts| *texts > 0);
        known.then(|| sums.iter().zip(texts).map(|(sum, texts)| sum / *texts as f64).collect())
    }

    /// The statistics that at least one text defines.
    pub fn known(&self) -> impl Iterator<Item = (Statistic, Vec<f64>)> + '_ {
        Statistic::ALL.into_iter().filter_map(|s| Some((s, self.mean(s)?)))
    }

    /// Absorbs one text. `smoothing` is that of the entropies: rows become `(1 - s) p + s / n`.
    pub fn add_text(
        &mut self,
        layout: &HeadLayout,
        text: &TextAttention<'_>,
        tokens: &TextTokens,
        smoothing: f64,
    ) {
        let visible: Vec<Visible> = layout.layer_of_heads().map(|layer| layer.visible).collect();
        let heads: Vec<usize> = text.heads().collect();
        let found: Vec<OfHead> = heads
            .par_iter()
            .map_init(RowEntropy::default, |entropy, &head| {
                OfHead::of(text, head, tokens, entropy, smoothing, visible[head])
            })
            .collect();
        let n = text.tokens() as u64;
        let mut valid = false;
        for (&head, found) in heads.iter().zip(&found) {
            for (index, (sum, queries)) in found.sums.iter().zip(found.queries).enumerate() {
                if queries > 0 {
                    self.defined[index * self.heads + head] += 1;
                    self.sums[index * self.heads + head] += sum / f64::from(queries);
                    for (which, chance) in found.chance.iter().enumerate() {
                        let place = (which * STATISTICS + index) * self.heads + head;
                        self.chance[place] += chance[index] / f64::from(queries);
                    }
                }
            }
            let queries = found.queries[Statistic::Entropy.index()];
            valid |= queries > 0;
            self.rows[head] += n;
            self.rows[self.heads + head] += n - u64::from(queries);
            for which in 0..2 {
                self.ahead[which * self.heads + head] += found.ahead[which];
                self.attainable[which * self.heads + head] += found.attainable[which].get().unwrap_or(0.0);
            }
            if u64::from(queries) < n {
                let id = text.sample().id;
                self.first_left_out = Some(self.first_left_out.map_or(id, |first| first.min(id)));
            }
        }
        self.zero_rows += text.zero_rows();
        let counts = &mut self.texts[3 * text.stream()..][..3];
        if valid {
            counts[0] += 1;
            counts[1] += n;
        } else {
            counts[2] += 1;
        }
    }

    /// Absorbs what another one has absorbed.
    ///
    /// # Panics
    /// If the other one is of another number of heads.
    pub fn add(&mut self, other: &Self) {
        assert_eq!((self.heads, self.streams), (other.heads, other.streams), "heads and sequences");
        let pairs = [
            (&mut self.sums, &other.sums),
            (&mut self.attainable, &other.attainable),
            (&mut self.chance, &other.chance),
        ];
        for (all, more) in pairs {
            all.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        let pairs = [
            (&mut self.defined, &other.defined),
            (&mut self.rows, &other.rows),
            (&mut self.ahead, &other.ahead),
            (&mut self.texts, &other.texts),
        ];
        for (all, more) in pairs {
            all.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
        }
        self.zero_rows = self.zero_rows.saturating_add(other.zero_rows);
        self.first_left_out = self.first_left_out.into_iter().chain(other.first_left_out).min();
    }
}
