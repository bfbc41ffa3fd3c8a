//! What is summed up over all texts.

use fmrai_core::analyzer::{State, StateError};

use super::config::Method;
use super::kept::{Numbers, Text};
use crate::finite::finite;
use crate::sites::{Cells, Column, Moments};

/// Sums over all texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Totals {
    pub(super) texts: f64,
    /// The metric.
    pub(super) value: Moments,
    /// Completeness errors.
    pub(super) error: Moments,
    pub(super) largest_error: f64,
    /// Texts whose integral was given up.
    pub(super) incomplete: f64,
    /// Texts that are too short.
    pub(super) short: f64,
    /// For each method, the share of each mark; and last, its share of the tokens.
    pub(super) shares: Cells,
}

/// Cells of shares, of which the last is the share of tokens.
const CELLS: usize = Method::ALL.len() + 1;
pub(super) const TOKENS: usize = CELLS - 1;

impl Default for Totals {
    fn default() -> Self {
        Self {
            texts: 0.0,
            value: Moments::default(),
            error: Moments::default(),
            largest_error: 0.0,
            incomplete: 0.0,
            short: 0.0,
            shares: Cells::new([CELLS]),
        }
    }
}

/// The share of some tokens in the sum of magnitudes; NaN where that is 0.
pub(super) fn share(values: &[f64], part: std::ops::Range<usize>) -> f64 {
    let sum = |values: &[f64]| values.iter().map(|x| x.abs()).sum::<f64>();
    let end = part.end.min(values.len());
    sum(values.get(part.start.min(end)..end).unwrap_or_default()) / sum(values)
}

impl Totals {
    /// Adds a text, whose marks are these.
    pub(super) fn add<'m>(
        &mut self,
        text: &Text,
        marks: impl Iterator<Item = (&'m String, std::ops::Range<usize>)>,
        bound: f64,
    ) {
        let Numbers { value, error, attributions, .. } = &text.numbers;
        self.texts += 1.0;
        if value.is_finite() {
            self.value.add(*value);
        }
        if error.is_finite() {
            self.error.add(*error);
            self.largest_error = self.largest_error.max(*error);
            self.incomplete += f64::from(u8::from(*error > bound));
        }
        for (mark, part) in marks {
            let of_tokens = share(&vec![1.0; text.tokens.len()], part.clone());
            if of_tokens.is_finite() {
                self.shares.add(TOKENS, Column::Mark(mark.clone()), of_tokens);
            }
            for (method, values) in attributions {
                let share = share(values, part.clone());
                if share.is_finite() {
                    self.shares.add(*method as usize, Column::Mark(mark.clone()), share);
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.texts += other.texts;
        self.value.merge(&other.value);
        self.error.merge(&other.error);
        self.largest_error = self.largest_error.max(other.largest_error);
        self.incomplete += other.incomplete;
        self.short += other.short;
        self.shares.merge(&other.shares);
    }

    pub(super) fn put(&self, state: &mut State) -> Result<(), StateError> {
        let numbers = self
            .value
            .numbers()
            .into_iter()
            .chain(self.error.numbers())
            .chain([self.largest_error, self.incomplete, self.short, self.texts])
            .collect();
        state.put::<f64>("totals", [10], numbers)?;
        self.shares.put(state, "shares")
    }

    pub(super) fn get(state: &State) -> Result<Self, StateError> {
        let n = finite(state, "totals", &[10])?;
        let of = |at: usize| Moments::of([n[at], n[at + 1], n[at + 2]]);
        Ok(Self {
            value: of(0),
            error: of(3),
            largest_error: n[6],
            incomplete: n[7],
            short: n[8],
            texts: n[9],
            shares: Cells::get(state, "shares", &[CELLS])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_are_of_magnitudes() {
        assert_eq!(share(&[1.0, -2.0, 1.0], 1..2), 0.5);
        assert_eq!(share(&[1.0, -2.0, 1.0], 2..9), 0.25);
        assert_eq!(share(&[1.0], 3..4), 0.0);
        assert!(share(&[0.0], 0..1).is_nan());
    }
}
