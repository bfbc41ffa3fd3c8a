//! Where heads look and how broadly, summed over texts.

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use fmrai_core::structure::Visible;
use fmrai_core::tensor::{TensorData, TensorValue};
use rayon::prelude::*;

use super::state::{read_counts_of, read_f64};
use super::{HeadLayout, LayerHeads, TextAttention, TextTokens};
use crate::statistics::entropy::RowEntropy;

/// A target of attention. The share of a head is the mean over queries of the probability that goes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// The query's own position.
    Itself,
    /// The position before the query, over the queries that have one.
    Previous,
    /// The position after the query, over the queries that have one.
    Next,
    /// The first token of the text (`[CLS]` in BERT).
    First,
    /// All separators.
    Separator,
    /// All separators, over the queries that are separators.
    SeparatorFromSeparator,
    /// All separators, over the queries that are none.
    SeparatorFromRest,
    /// All `.` and `,`.
    Punctuation,
    /// Keys that are no tokens of the text: attention sinks, and positions that the model adds.
    Sink,
}

impl Pattern {
    /// All patterns.
    pub const ALL: [Self; 9] = [
        Self::Itself,
        Self::Previous,
        Self::Next,
        Self::First,
        Self::Separator,
        Self::SeparatorFromSeparator,
        Self::SeparatorFromRest,
        Self::Punctuation,
        Self::Sink,
    ];

    /// Its name in tensors and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Itself => "self",
            Self::Previous => "previous",
            Self::Next => "next",
            Self::First => "first",
            Self::Separator => "separator",
            Self::SeparatorFromSeparator => "separator_from_separator",
            Self::SeparatorFromRest => "separator_from_rest",
            Self::Punctuation => "punctuation",
            Self::Sink => "sink",
        }
    }

    /// What it is, for headings.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Itself => "same token",
            Self::Previous => "previous token",
            Self::Next => "next token",
            Self::First => "first token",
            Self::Separator => "separators",
            Self::SeparatorFromSeparator => "separators, from separators",
            Self::SeparatorFromRest => "separators, from other tokens",
            Self::Punctuation => "full stops and commas",
            Self::Sink => "attention sink",
        }
    }
}

/// What is measured of each head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Share of attention that goes to a target.
    Share(Pattern),
    /// Entropy of the rows, mean over queries, in nats.
    Entropy,
    /// Entropy of the first token's row, in nats.
    FirstTokenEntropy,
}

impl Statistic {
    /// All statistics, shares first.
    pub const ALL: [Self; 11] = [
        Self::Share(Pattern::Itself),
        Self::Share(Pattern::Previous),
        Self::Share(Pattern::Next),
        Self::Share(Pattern::First),
        Self::Share(Pattern::Separator),
        Self::Share(Pattern::SeparatorFromSeparator),
        Self::Share(Pattern::SeparatorFromRest),
        Self::Share(Pattern::Punctuation),
        Self::Share(Pattern::Sink),
        Self::Entropy,
        Self::FirstTokenEntropy,
    ];

    /// Name of its tensor: `share.previous`, `entropy`, `entropy.first_token`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Share(pattern) => format!("share.{}", pattern.name()),
            Self::Entropy => "entropy".to_owned(),
            Self::FirstTokenEntropy => "entropy.first_token".to_owned(),
        }
    }

    /// Unit of its numbers; `None` for shares.
    #[must_use]
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::Share(_) => None,
            Self::Entropy | Self::FirstTokenEntropy => Some("nats"),
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Share(pattern) => pattern as usize,
            Self::Entropy => Pattern::ALL.len(),
            Self::FirstTokenEntropy => Pattern::ALL.len() + 1,
        }
    }
}

const STATISTICS: usize = Statistic::ALL.len();

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

/// Sums over texts of every [`Statistic`] of every head; two of them add up to that of both parts of the data.
///
/// Within a text a statistic is the mean over the queries for which it is defined; over texts, the mean of the texts
/// for which it is defined, each weighing the same. Rows that are no distributions are counted and left out.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternSums {
    heads: usize,
    streams: usize,
    /// `[statistic, head]`.
    sums: Vec<f64>,
    /// `[statistic, head]`: texts that define it.
    defined: Vec<u64>,
    /// `[2, head]`: mean over queries of the logarithm of the number of keys, of those that can be seen and of all.
    attainable: Vec<f64>,
    /// `[2, head]`: rows, and those left out.
    rows: Vec<u64>,
    /// `[2, head]`: entries after the query's own position, and those that are not 0.
    ahead: Vec<u64>,
    /// `[stream, 3]`: texts with a valid row, their tokens, texts without.
    texts: Vec<u64>,
    /// Rows that are all zeros.
    zero_rows: u64,
    /// The smallest id of a sample with a row left out.
    first_left_out: Option<u64>,
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

    /// Entropy of a head that sees all keys alike, masked ones too.
    #[must_use]
    pub fn uniform(&self) -> Vec<f64> {
        let texts = &self.defined[Statistic::Entropy.index() * self.heads..][..self.heads];
        self.attainable[self.heads..].iter().zip(texts).map(|(sum, texts)| sum / *texts as f64).collect()
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
        let pairs = [(&mut self.sums, &other.sums), (&mut self.attainable, &other.attainable)];
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

    /// Writes itself into a state: `patterns` and `pattern_texts` `[statistic, head]`, `pattern_attainable`,
    /// `pattern_rows` and `pattern_ahead` `[2, head]`, `pattern_counts` `[3 * stream + 2]` (texts, tokens and texts left out
    /// of each sequence, rows of zeros, the first sample with a row left out or -1).
    ///
    /// # Errors
    /// [`AnalyzerError::Other`] only for a bug of this crate.
    pub fn write(&self, state: &mut State) -> Result<(), AnalyzerError> {
        let whole = |counts: &[u64]| TensorData::I64(counts.iter().map(|&c| c as i64).collect());
        let mut counts = self.texts.clone();
        // -1 as the bits of a count.
        counts.extend([self.zero_rows, self.first_left_out.unwrap_or(u64::MAX)]);
        let parts = [
            ("patterns", vec![STATISTICS, self.heads], TensorData::F64(self.sums.clone())),
            ("pattern_texts", vec![STATISTICS, self.heads], whole(&self.defined)),
            ("pattern_attainable", vec![2, self.heads], TensorData::F64(self.attainable.clone())),
            ("pattern_rows", vec![2, self.heads], whole(&self.rows)),
            ("pattern_ahead", vec![2, self.heads], whole(&self.ahead)),
            ("pattern_counts", vec![counts.len()], whole(&counts)),
        ];
        for (name, shape, data) in parts {
            let value = TensorValue::new(shape, data).map_err(|e| AnalyzerError::Other(e.to_string()))?;
            state.tensors.insert(name.to_owned(), value);
        }
        Ok(())
    }

    /// Reads what [`Self::write`] wrote, for these heads.
    ///
    /// # Errors
    /// [`StateError::Part`] names the part that is missing or has another form.
    pub fn read(state: &State, layout: &HeadLayout) -> Result<Self, StateError> {
        let (heads, streams) = (layout.heads(), layout.streams().len());
        let sums = read_f64(state, "patterns", &[STATISTICS, heads])?;
        let attainable = read_f64(state, "pattern_attainable", &[2, heads])?;
        let defined = read_counts_of(state, "pattern_texts", &[STATISTICS, heads])?;
        let rows = read_counts_of(state, "pattern_rows", &[2, heads])?;
        let ahead = read_counts_of(state, "pattern_ahead", &[2, heads])?;
        let length = 3 * streams + 2;
        let mut counts =
            state.tensor("pattern_counts", &[length])?.i64().map(<[i64]>::to_vec).unwrap_or_default();
        let first_left_out = counts.pop().and_then(|id| u64::try_from(id).ok());
        let counts: Option<Vec<u64>> = counts.into_iter().map(|c| u64::try_from(c).ok()).collect();
        let mut texts = counts.filter(|c| c.len() + 1 == length).ok_or_else(|| StateError::Part {
            part: "pattern_counts".to_owned(),
            found: "no counts".to_owned(),
            needed: "counts".to_owned(),
        })?;
        let zero_rows = texts.pop().unwrap_or(0);
        Ok(Self { heads, streams, sums, defined, attainable, rows, ahead, texts, zero_rows, first_left_out })
    }
}

/// A mean; of equal numbers it is exactly that number.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u32,
    first: Option<f64>,
    varies: bool,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
        self.varies |= *self.first.get_or_insert(value) != value;
    }

    fn get(self) -> Option<f64> {
        if self.varies { Some(self.sum / f64::from(self.count)) } else { self.first }
    }
}

/// The mean of finite numbers.
pub(crate) fn mean_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut mean = Mean::default();
    values.filter(|v| v.is_finite()).for_each(|value| mean.add(value));
    mean.get()
}

/// All statistics of one head over one text: sums over the valid queries that define each, and their number.
struct OfHead {
    sums: [f64; STATISTICS],
    queries: [u32; STATISTICS],
    attainable: [Mean; 2],
    ahead: [u64; 2],
}

impl OfHead {
    fn of(
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
