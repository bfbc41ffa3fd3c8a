//! What was found of the data, as a state that adds up.

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use serde_json::json;

use super::effects::{self, Effect};
use super::means::TokenMeans;
use super::targets::Targets;

/// Name of the state.
const NAME: &str = "ablation";

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    /// Which sweep through the data it is.
    pub(super) sweep: usize,
    pub(super) means: TokenMeans,
    /// The clean run.
    pub(super) base: Effect,
    /// What was added by each target.
    pub(super) added: Vec<Effect>,
    /// Texts that were left out: too short to predict a token, or without another text in their batch.
    pub(super) left_out: f64,
    /// Tokens of the texts, and those that were resampled.
    pub(super) positions: f64,
    pub(super) resampled: f64,
}

impl Found {
    pub(super) fn state(&self) -> Result<State, StateError> {
        let mut state = State::new(NAME, 1, json!({ "sweep": self.sweep }));
        self.means.put(&mut state)?;
        effects::put(&mut state, "base", &[self.base])?;
        effects::put(&mut state, "added", &self.added)?;
        state.put("counts", [3], vec![self.left_out, self.positions, self.resampled])?;
        Ok(state)
    }

    pub(super) fn of(state: &State, targets: &Targets) -> Result<Self, StateError> {
        state.expect(NAME, 1)?;
        let sweep = state.document["sweep"].as_u64().filter(|sweep| *sweep < 2);
        let sweep = sweep.ok_or_else(|| StateError::Part {
            part: "sweep".to_owned(),
            found: state.document["sweep"].to_string(),
            needed: "0 or 1".to_owned(),
        })?;
        let counts = state.get::<f64>("counts", &[3])?;
        Ok(Self {
            sweep: sweep as usize,
            means: TokenMeans::get(state, targets.sites.len())?,
            base: effects::get(state, "base", 1)?.pop().unwrap_or_default(),
            added: effects::get(state, "added", targets.targets.len())?,
            left_out: counts[0],
            positions: counts[1],
            resampled: counts[2],
        })
    }

    /// True if nothing was seen.
    fn is_fresh(&self) -> bool {
        self.sweep == 0 && self.means.is_empty() && self.base.loss.count == 0.0 && self.left_out == 0.0
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), AnalyzerError> {
        if other.is_fresh() {
            return Ok(());
        }
        if self.is_fresh() {
            self.clone_from(other);
            return Ok(());
        }
        if self.sweep != other.sweep || (self.sweep > 0 && self.means != other.means) {
            let of = |found: &Self| {
                format!("of sweep {} with means over {} tokens", found.sweep, found.means.tokens)
            };
            return Err(
                StateError::Part { part: "means".to_owned(), found: of(other), needed: of(self) }.into()
            );
        }
        if self.sweep == 0 {
            self.means.merge(&other.means)?;
        }
        self.base.merge(&other.base);
        self.added.iter_mut().zip(&other.added).for_each(|(own, other)| own.merge(other));
        self.left_out += other.left_out;
        self.positions += other.positions;
        self.resampled += other.resampled;
        Ok(())
    }
}
