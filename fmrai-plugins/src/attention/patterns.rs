//! Where heads look and how broadly, summed over texts.

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use fmrai_core::tensor::{TensorData, TensorValue};
use rayon::prelude::*;

use super::state::{read_counts, read_f64};
use super::{TextAttention, TextTokens};
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
}

impl Pattern {
    /// All patterns.
    pub const ALL: [Self; 8] = [
        Self::Itself,
        Self::Previous,
        Self::Next,
        Self::First,
        Self::Separator,
        Self::SeparatorFromSeparator,
        Self::SeparatorFromRest,
        Self::Punctuation,
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
    pub const ALL: [Self; 10] = [
        Self::Share(Pattern::Itself),
        Self::Share(Pattern::Previous),
        Self::Share(Pattern::Next),
        Self::Share(Pattern::First),
        Self::Share(Pattern::Separator),
        Self::Share(Pattern::SeparatorFromSeparator),
        Self::Share(Pattern::SeparatorFromRest),
        Self::Share(Pattern::Punctuation),
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

/// Sums over texts of every [`Statistic`] of every head; two of them add up to that of both parts of the data.
///
/// Within a text a statistic is the mean over the queries for which it is defined; over texts, the mean of the texts
/// for which it is defined, each weighing the same.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternSums {
    heads: usize,
    /// `[statistic, head]`.
    sums: Vec<f64>,
    /// `[statistic]`: texts that define it.
    defined: [u64; STATISTICS],
    texts: u64,
    tokens: u64,
    /// Sum over texts of `ln n`.
    uniform: f64,
}

impl PatternSums {
    /// Nothing absorbed.
    #[must_use]
    pub fn new(heads: usize) -> Self {
        Self {
            heads,
            sums: vec![0.0; STATISTICS * heads],
            defined: [0; STATISTICS],
            texts: 0,
            tokens: 0,
            uniform: 0.0,
        }
    }

    /// Number of texts absorbed.
    #[must_use]
    pub fn texts(&self) -> u64 {
        self.texts
    }

    /// Number of tokens absorbed, padding excluded.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Entropy of a head that sees all tokens alike, mean over texts of `ln n`, in nats. `None` before any text.
    #[must_use]
    pub fn uniform_entropy(&self) -> Option<f64> {
        (self.texts > 0).then(|| self.uniform / self.texts as f64)
    }

    /// One number per head; `None` if no text defines the statistic.
    #[must_use]
    pub fn mean(&self, statistic: Statistic) -> Option<Vec<f64>> {
        let index = statistic.index();
        let texts = self.defined[index];
        let sums = &self.sums[index * self.heads..(index + 1) * self.heads];
        (texts > 0).then(|| sums.iter().map(|sum| sum / texts as f64).collect())
    }

    /// The statistics that at least one text defines.
    pub fn known(&self) -> impl Iterator<Item = (Statistic, Vec<f64>)> + '_ {
        Statistic::ALL.into_iter().filter_map(|s| Some((s, self.mean(s)?)))
    }

    /// Absorbs one text. `smoothing` is that of the entropies: rows become `(1 - s) p + s / n`.
    pub fn add_text(&mut self, text: &TextAttention<'_>, tokens: &TextTokens, smoothing: f64) {
        let heads: Vec<[f64; STATISTICS]> = (0..self.heads)
            .into_par_iter()
            .map_init(RowEntropy::default, |entropy, head| of_head(text, head, tokens, entropy, smoothing))
            .collect();
        let n = text.tokens();
        let count =
            |marks: &Option<Vec<bool>>| marks.as_ref().map(|m| m.iter().filter(|&&mark| mark).count());
        let separators = count(&tokens.separator);
        for (index, statistic) in Statistic::ALL.into_iter().enumerate() {
            let defined = match statistic {
                Statistic::Share(Pattern::Previous | Pattern::Next) => n > 1,
                Statistic::Share(Pattern::Separator) => separators.is_some(),
                Statistic::Share(Pattern::SeparatorFromSeparator) => separators.is_some_and(|s| s > 0),
                Statistic::Share(Pattern::SeparatorFromRest) => separators.is_some_and(|s| s < n),
                Statistic::Share(Pattern::Punctuation) => tokens.punctuation.is_some(),
                _ => true,
            };
            if defined {
                self.defined[index] += 1;
                let sums = &mut self.sums[index * self.heads..(index + 1) * self.heads];
                for (sum, head) in sums.iter_mut().zip(&heads) {
                    *sum += head[index];
                }
            }
        }
        self.texts += 1;
        self.tokens += n as u64;
        self.uniform += (n as f64).ln();
    }

    /// Absorbs what another one has absorbed.
    ///
    /// # Panics
    /// If the other one is of another number of heads.
    pub fn add(&mut self, other: &Self) {
        assert_eq!(self.heads, other.heads, "heads");
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum += other;
        }
        for (defined, other) in self.defined.iter_mut().zip(other.defined) {
            *defined = defined.saturating_add(other);
        }
        self.texts = self.texts.saturating_add(other.texts);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.uniform += other.uniform;
    }

    /// Writes itself into a state: `patterns` `[statistic, head]`, `pattern_counts` `[statistic + 2]` (texts that
    /// define each, texts, tokens) and `pattern_uniform` `[1]`.
    ///
    /// # Errors
    /// [`AnalyzerError::Other`] only for a bug of this crate.
    pub fn write(&self, state: &mut State) -> Result<(), AnalyzerError> {
        let counts = self.defined.iter().chain([&self.texts, &self.tokens]).map(|&c| c as i64).collect();
        let parts = [
            ("patterns", vec![STATISTICS, self.heads], TensorData::F64(self.sums.clone())),
            ("pattern_counts", vec![STATISTICS + 2], TensorData::I64(counts)),
            ("pattern_uniform", vec![1], TensorData::F64(vec![self.uniform])),
        ];
        for (name, shape, data) in parts {
            let value = TensorValue::new(shape, data).map_err(|e| AnalyzerError::Other(e.to_string()))?;
            state.tensors.insert(name.to_owned(), value);
        }
        Ok(())
    }

    /// Reads what [`Self::write`] wrote, for this number of heads.
    ///
    /// # Errors
    /// [`StateError::Part`] names the part that is missing or has another form.
    pub fn read(state: &State, heads: usize) -> Result<Self, StateError> {
        let sums = read_f64(state, "patterns", &[STATISTICS, heads])?;
        let uniform = read_f64(state, "pattern_uniform", &[1])?;
        let counts = read_counts(state, "pattern_counts", STATISTICS + 2)?;
        let mut defined = [0; STATISTICS];
        defined.copy_from_slice(&counts[..STATISTICS]);
        Ok(Self {
            heads,
            sums,
            defined,
            texts: counts[STATISTICS],
            tokens: counts[STATISTICS + 1],
            uniform: uniform[0],
        })
    }
}

/// All statistics of one head over one text; 0 where one is not defined.
fn of_head(
    text: &TextAttention<'_>,
    head: usize,
    tokens: &TextTokens,
    entropy: &mut RowEntropy,
    smoothing: f64,
) -> [f64; STATISTICS] {
    let n = text.tokens();
    let mut sums = [0.0; STATISTICS];
    let mut add = |statistic: Statistic, value: f64| sums[statistic.index()] += value;
    let marked = |row: &[f32], marks: &[bool]| -> f64 {
        row.iter().zip(marks).filter(|(_, mark)| **mark).map(|(&p, _)| f64::from(p)).sum()
    };
    let mut separators = 0;
    for query in 0..n {
        let row = text.row(head, query);
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
            separators += usize::from(marks[query]);
            add(Statistic::Share(from), share);
        }
        if let Some(marks) = &tokens.punctuation {
            add(Statistic::Share(Pattern::Punctuation), marked(row, marks));
        }
        let nats = entropy.nats(row, smoothing);
        add(Statistic::Entropy, nats);
        if query == 0 {
            add(Statistic::FirstTokenEntropy, nats);
        }
    }
    for statistic in Statistic::ALL {
        let queries = match statistic {
            Statistic::Share(Pattern::Previous | Pattern::Next) => n - 1,
            Statistic::Share(Pattern::SeparatorFromSeparator) => separators,
            Statistic::Share(Pattern::SeparatorFromRest) => n - separators,
            Statistic::FirstTokenEntropy => 1,
            _ => n,
        };
        sums[statistic.index()] /= queries.max(1) as f64;
    }
    sums
}
