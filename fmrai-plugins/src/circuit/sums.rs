//! What was found of the data, sweep by sweep, as numbers that add up.

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use serde_json::json;

use crate::finite::finite;

const NAME: &str = "circuit";

/// Sums over the pairs of one sweep.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) pairs: f64,
    /// The metric of the clean text.
    pub(super) clean: f64,
    /// That of the corrupted one.
    pub(super) corrupted: f64,
    /// What the sweep is about: scores of edges, or the metric of circuits.
    pub(super) values: Vec<f64>,
}

impl Sums {
    pub(super) fn add(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.clean += other.clean;
        self.corrupted += other.corrupted;
        if self.values.is_empty() {
            self.values.clone_from(&other.values);
        } else {
            self.values.iter_mut().zip(&other.values).for_each(|(own, other)| *own += other);
        }
    }

    /// The means of the values.
    pub(super) fn means(&self) -> Vec<f64> {
        self.values.iter().map(|value| value / self.pairs).collect()
    }

    /// The share of the metric between the corrupted and the clean text that a mean of it is: 0 for the former, 1 for the latter.
    pub(super) fn faithfulness(&self, mean: f64) -> f64 {
        let (clean, corrupted) = (self.clean / self.pairs, self.corrupted / self.pairs);
        let whole = clean - corrupted;
        if whole.abs() <= 1e-9 * clean.abs().max(corrupted.abs()).max(1e-30) {
            return f64::NAN;
        }
        (mean - corrupted) / whole
    }
}

/// Sums of all sweeps so far. All that a search has found follows from them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sweeps {
    /// The sweeps that have ended.
    pub(super) ended: Vec<Sums>,
    /// The one that runs.
    pub(super) current: Sums,
}

impl Sweeps {
    pub(super) fn end(&mut self) {
        self.ended.push(std::mem::take(&mut self.current));
    }

    /// True if nothing was seen.
    fn is_fresh(&self) -> bool {
        self.ended.is_empty() && self.current.pairs == 0.0
    }

    pub(super) fn state(&self) -> Result<State, StateError> {
        let all: Vec<&Sums> = self.ended.iter().chain([&self.current]).collect();
        let lengths: Vec<usize> = all.iter().map(|sums| sums.values.len()).collect();
        let mut state = State::new(NAME, 1, json!({ "lengths": lengths }));
        let ends: Vec<f64> = all.iter().flat_map(|sums| [sums.pairs, sums.clean, sums.corrupted]).collect();
        state.put("ends", [all.len(), 3], ends)?;
        let values: Vec<f64> = all.iter().flat_map(|sums| sums.values.iter().copied()).collect();
        state.put("values", [values.len()], values)?;
        Ok(state)
    }

    pub(super) fn of(state: &State) -> Result<Self, StateError> {
        state.expect(NAME, 1)?;
        let found = state.document.get("lengths").cloned().unwrap_or_default();
        let part = |found: String| StateError::Part {
            part: "lengths".to_owned(),
            found,
            needed: "the number of values of each sweep".to_owned(),
        };
        let lengths: Vec<usize> =
            serde_json::from_value(found.clone()).map_err(|_| part(found.to_string()))?;
        let total = lengths.iter().try_fold(0_usize, |sum, length| sum.checked_add(*length));
        let total = total.filter(|_| !lengths.is_empty()).ok_or_else(|| part(found.to_string()))?;
        let ends = finite(state, "ends", &[lengths.len(), 3])?;
        let values = finite(state, "values", &[total])?;
        let mut rest = values.as_slice();
        let mut all: Vec<Sums> = Vec::with_capacity(lengths.len());
        for (length, ends) in lengths.iter().zip(ends.chunks_exact(3)) {
            let (own, others) = rest.split_at(*length);
            rest = others;
            all.push(Sums { pairs: ends[0], clean: ends[1], corrupted: ends[2], values: own.to_vec() });
        }
        let current = all.pop().unwrap_or_default();
        Ok(Self { ended: all, current })
    }

    /// Adds what was found elsewhere in the same sweep, after the same sweeps before.
    pub(super) fn merge(&mut self, other: &Self) -> Result<(), AnalyzerError> {
        if other.is_fresh() {
            return Ok(());
        }
        if self.is_fresh() {
            self.clone_from(other);
            return Ok(());
        }
        let lengths = [&self.current.values, &other.current.values].map(Vec::len);
        let differ = lengths[0] != lengths[1] && lengths.iter().all(|length| *length > 0);
        if self.ended != other.ended || differ {
            let of = |sweeps: &Self| format!("of sweep {} with its own results before", sweeps.ended.len());
            return Err(StateError::Part {
                part: "sweeps".to_owned(),
                found: of(other),
                needed: format!("{} that has found the same", of(self)),
            }
            .into());
        }
        self.current.add(&other.current);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(pairs: f64, values: &[f64]) -> Sums {
        Sums { pairs, clean: 2.0 * pairs, corrupted: -pairs, values: values.to_vec() }
    }

    #[test]
    fn states_hold_all_sweeps_and_merge_within_one() {
        let mut a = Sweeps { current: sums(2.0, &[1.0, 2.0]), ..Sweeps::default() };
        a.end();
        a.current = sums(1.0, &[5.0]);
        let state = State::from_bytes(&a.state().unwrap().to_bytes().unwrap()).unwrap();
        assert_eq!(Sweeps::of(&state).unwrap(), a);
        let mut fresh = Sweeps::default();
        fresh.merge(&a).unwrap();
        assert_eq!(fresh, a);
        let other = Sweeps { ended: a.ended.clone(), current: sums(3.0, &[1.0]) };
        fresh.merge(&other).unwrap();
        assert_eq!(fresh.current, sums(4.0, &[6.0]));
        fresh.merge(&Sweeps::default()).unwrap();
        assert_eq!(fresh.current.pairs, 4.0);
        let earlier = Sweeps { current: sums(1.0, &[1.0, 1.0]), ..Sweeps::default() };
        assert!(fresh.merge(&earlier).is_err());
    }

    #[test]
    fn faithfulness_is_a_share_of_the_way() {
        let sums = sums(2.0, &[]);
        assert_eq!([-1.0, 0.5, 2.0].map(|mean| sums.faithfulness(mean)), [0.0, 0.5, 1.0]);
        let same = Sums { clean: 4.0, corrupted: 4.0, pairs: 2.0, values: Vec::new() };
        assert!(same.faithfulness(2.0).is_nan());
    }
}
