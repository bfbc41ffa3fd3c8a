//! What is kept of the measures: sums over texts.

use fmrai_core::analyzer::{State, StateError};

use crate::finite::finite;

/// Measures of a stream.
pub(super) const MEASURES: [&str; 4] = ["probability", "rank", "entropy", "kl"];

/// The means of one text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OfText {
    /// `[stream][measure]`, sums over its tokens.
    pub(super) sums: Vec<[f64; 4]>,
    pub(super) tokens: u64,
    /// Tokens that have a target.
    pub(super) targets: u64,
}

/// How what is read of the last stream agrees with the model's logits.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Agreement {
    pub(super) positions: u64,
    /// Positions with the same most probable token.
    pub(super) agreeing: u64,
    /// Largest difference of two logits.
    pub(super) difference: f64,
}

impl Agreement {
    pub(super) fn add(&mut self, other: Self) {
        self.positions += other.positions;
        self.agreeing += other.agreeing;
        self.difference = self.difference.max(other.difference);
    }
}

/// Sums over texts of their means.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sums {
    /// `[stream][measure]`.
    means: Vec<[f64; 4]>,
    pub(super) texts: u64,
    /// Texts with a target.
    pub(super) texts_with_target: u64,
    pub(super) tokens: u64,
    pub(super) targets: u64,
    pub(super) agreement: Agreement,
}

impl Sums {
    pub(super) fn new(streams: usize) -> Self {
        Self { means: vec![[0.0; 4]; streams], ..Self::default() }
    }

    pub(super) fn add_text(&mut self, text: &OfText) {
        if text.tokens == 0 {
            return;
        }
        let counts = [text.targets, text.targets, text.tokens, text.tokens].map(|n| n as f64);
        for (means, sums) in self.means.iter_mut().zip(&text.sums) {
            for ((mean, sum), count) in means.iter_mut().zip(sums).zip(counts) {
                *mean += if count > 0.0 { sum / count } else { 0.0 };
            }
        }
        self.texts += 1;
        self.texts_with_target += u64::from(text.targets > 0);
        self.tokens += text.tokens;
        self.targets += text.targets;
    }

    pub(super) fn add(&mut self, other: &Self) {
        let all = self.means.iter_mut().flatten();
        all.zip(other.means.iter().flatten()).for_each(|(a, b)| *a += b);
        self.texts += other.texts;
        self.texts_with_target += other.texts_with_target;
        self.tokens += other.tokens;
        self.targets += other.targets;
        self.agreement.add(other.agreement);
    }

    /// The mean of a measure over texts; NaN where no text has it.
    pub(super) fn mean(&self, stream: usize, measure: usize) -> f64 {
        let texts = if measure < 2 { self.texts_with_target } else { self.texts };
        self.means.get(stream).map_or(f64::NAN, |means| means[measure] / texts as f64)
    }

    pub(super) fn write(&self, state: &mut State) -> Result<(), StateError> {
        let means = self.means.iter().flatten().copied().collect();
        state.put("means", [self.means.len(), MEASURES.len()], means)?;
        let Agreement { positions, agreeing, difference } = self.agreement;
        let counts = [self.texts, self.texts_with_target, self.tokens, self.targets, positions, agreeing];
        state.put("counts", [counts.len()], counts.to_vec())?;
        state.put_number("difference", difference)
    }

    pub(super) fn read(state: &State, streams: usize) -> Result<Self, StateError> {
        let means = finite(state, "means", &[streams, MEASURES.len()])?;
        let counts: Vec<u64> = state.get("counts", &[6])?;
        let [difference] = finite(state, "difference", &[1])?[..] else { return Ok(Self::new(streams)) };
        let [texts, texts_with_target, tokens, targets, positions, agreeing] = counts[..] else {
            return Ok(Self::new(streams));
        };
        Ok(Self {
            means: means.chunks(MEASURES.len()).filter_map(|m| m.try_into().ok()).collect(),
            texts,
            texts_with_target,
            tokens,
            targets,
            agreement: Agreement { positions, agreeing, difference },
        })
    }
}
