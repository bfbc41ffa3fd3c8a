//! Pairs of texts in a batch.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::{Pair, PairRole, Sample};

/// A mark with this name says where the answer is read; without it, that is the last token of the text.
pub const ANSWER_MARK: &str = "answer";

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
/// [`AnalyzerError::Unsuitable`] where the data are no pairs.
pub fn pairs_of(samples: &[Sample]) -> Result<Vec<PairRows<'_>>, AnalyzerError> {
    let unsuitable = |found: &str| AnalyzerError::Unsuitable {
        found: found.to_owned(),
        needed: "pairs of a clean and a corrupted text: data of the type `pairs`".to_owned(),
    };
    let mut pairs = Vec::with_capacity(samples.len() / 2);
    for (at, both) in samples.chunks(2).enumerate() {
        let [clean, corrupted] = both else { return Err(unsuitable("data with a text that has no partner")) };
        let (Some(pair), Some(other)) = (&clean.pair, &corrupted.pair) else {
            return Err(unsuitable("data of single texts"));
        };
        if (pair.role, other.role) != (PairRole::Clean, PairRole::Corrupted) {
            return Err(unsuitable("data whose pairs are torn apart"));
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
