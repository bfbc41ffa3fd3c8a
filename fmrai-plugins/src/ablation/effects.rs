//! What was measured, as numbers that add up.

use fmrai_core::analyzer::{State, StateError};

use crate::sites::Moments;

/// Numbers of a cell in a state.
const NUMBERS: usize = 8;

/// What was measured of one thing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Effect {
    /// Mean losses of texts, or how much was added to them.
    pub(super) loss: Moments,
    /// Predicted tokens.
    pub(super) tokens: f64,
    /// The same of all tokens, summed.
    pub(super) token_sum: f64,
    /// The metric of texts, or how much was added to it.
    pub(super) metric: Moments,
}

impl Effect {
    pub(super) fn add(&mut self, loss: f64, tokens: usize, metric: Option<f64>) {
        self.loss.add(loss);
        self.tokens += tokens as f64;
        self.token_sum += loss * tokens as f64;
        if let Some(metric) = metric {
            self.metric.add(metric);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.loss.merge(&other.loss);
        self.tokens += other.tokens;
        self.token_sum += other.token_sum;
        self.metric.merge(&other.metric);
    }

    /// The mean over all tokens.
    pub(super) fn token_mean(&self) -> f64 {
        self.token_sum / self.tokens
    }

    fn numbers(&self) -> [f64; NUMBERS] {
        let Self { loss, tokens, token_sum, metric } = self;
        [loss.count, loss.sum, loss.squares, *tokens, *token_sum, metric.count, metric.sum, metric.squares]
    }

    fn of(n: &[f64]) -> Self {
        let moments = |at: usize| Moments::of([n[at], n[at + 1], n[at + 2]]);
        Self { loss: moments(0), tokens: n[3], token_sum: n[4], metric: moments(5) }
    }
}

/// Puts effects into a state.
pub(super) fn put(state: &mut State, name: &str, effects: &[Effect]) -> Result<(), StateError> {
    let numbers = effects.iter().flat_map(Effect::numbers).collect();
    state.put::<f64>(name, [effects.len(), NUMBERS], numbers)
}

/// Gets so many effects out of a state.
pub(super) fn get(state: &State, name: &str, count: usize) -> Result<Vec<Effect>, StateError> {
    let numbers = state.get::<f64>(name, &[count, NUMBERS])?;
    Ok(numbers.chunks_exact(NUMBERS).map(Effect::of).collect())
}
