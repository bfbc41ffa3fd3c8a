//! Pairs of texts in a batch.

use std::ops::Range;

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::{Pair, PairRole, Sample};

/// A mark with this name says where the answer is read; without it, that is the last token of the text.
pub const ANSWER_MARK: &str = "answer";

/// Characters of a text that name its pair.
const NAMED: usize = 40;

/// A pair of a batch.
#[derive(Debug, Clone, Copy)]
pub struct PairRows<'a> {
    /// The row of the clean text.
    pub clean: usize,
    /// The row of the corrupted text.
    pub corrupted: usize,
    /// The two samples, the clean one first.
    pub samples: [&'a Sample; 2],
    /// What the data say of them.
    pub pair: &'a Pair,
}

impl PairRows<'_> {
    /// Which pair it is, for messages: its place in the data, from 0, and how its clean text begins.
    #[must_use]
    pub fn name(&self) -> String {
        let number = self.samples[0].id / 2;
        let Some(text) = &self.samples[0].text else { return format!("pair {number}") };
        let start: String = text.chars().take(NAMED).collect();
        let more = if start.len() < text.len() { "…" } else { "" };
        format!("pair {number} ({start:?}{more})")
    }

    /// How many tokens its texts have, for messages.
    #[must_use]
    pub fn lengths(&self) -> String {
        let [clean, corrupted] = self.samples.map(|sample| sample.span.len());
        format!("{clean} tokens in the clean text of {} and {corrupted} in the corrupted one", self.name())
    }

    /// The tokens of a mark in both texts.
    ///
    /// # Errors
    /// [`AnalyzerError::UnsuitableData`] where the pair has no such mark; `why` says what it is for.
    pub fn mark(&self, name: &str, why: &str) -> Result<&Range<usize>, AnalyzerError> {
        let marks = &self.pair.marks;
        marks.get(name).filter(|mark| !mark.is_empty()).ok_or_else(|| {
            let there = match marks.is_empty() {
                true => "it has no marks".to_owned(),
                false => format!("its marks are {}", marks.keys().cloned().collect::<Vec<_>>().join(", ")),
            };
            AnalyzerError::UnsuitableData {
                found: format!("no mark {name:?} in {}: {there}", self.name()),
                needed: format!("that mark in every pair, {why}"),
            }
        })
    }

    /// True if both texts have as many tokens.
    #[must_use]
    pub fn aligned(&self) -> bool {
        let [clean, corrupted] = self.samples;
        clean.span.len() == corrupted.span.len()
    }
}

/// The pairs of a batch: each corrupted text follows its clean one.
///
/// # Errors
/// [`AnalyzerError::UnsuitableData`] where the data are no pairs.
pub fn pairs_of(samples: &[Sample]) -> Result<Vec<PairRows<'_>>, AnalyzerError> {
    let unsuitable = |found: &str| AnalyzerError::UnsuitableData {
        found: found.to_owned(),
        needed: "pairs of a clean and a corrupted text: data of the type `pairs`".to_owned(),
    };
    let mut pairs = Vec::with_capacity(samples.len() / 2);
    for (at, both) in samples.chunks(2).enumerate() {
        let [clean, corrupted] = both else { return Err(unsuitable("a text that has no partner")) };
        let (Some(pair), Some(other)) = (&clean.pair, &corrupted.pair) else {
            return Err(unsuitable("single texts"));
        };
        if (pair.role, other.role) != (PairRole::Clean, PairRole::Corrupted) {
            return Err(unsuitable("pairs that are torn apart"));
        }
        pairs.push(PairRows { clean: 2 * at, corrupted: 2 * at + 1, samples: [clean, corrupted], pair });
    }
    Ok(pairs)
}

/// The position in the padded row where the answer to a text is read: its mark [`ANSWER_MARK`], or its last token that the tokenizer has not
/// added.
#[must_use]
pub fn answer_position(sample: &Sample) -> usize {
    let marked = sample.pair.as_ref().and_then(|pair| pair.marks.get(ANSWER_MARK));
    marked.map_or_else(|| sample.last_position(), |mark| sample.span.start + mark.start)
}
