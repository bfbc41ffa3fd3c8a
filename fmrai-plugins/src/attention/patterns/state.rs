//! The stored form of the sums.

use fmrai_core::analyzer::{State, StateError};

use super::statistic::STATISTICS;
use super::sums::PatternSums;
use crate::finite::finite;
use fmrai_core::attention::HeadLayout;

/// A part that states have since there are lines of chance.
const CHANCE: &str = "pattern_chance";

impl PatternSums {
    /// The last version of the states of those that hold it in which there was no chance: it is then unknown.
    pub const WITHOUT_CHANCE: u32 = 2;

    /// Writes itself into a state: `patterns` and `pattern_texts` `[statistic, head]`, `pattern_chance` `[2, statistic, head]`, `pattern_attainable`,
    /// `pattern_rows` and `pattern_ahead` `[2, head]`, `pattern_counts` `[3 * stream + 2]` (texts, tokens and texts left out
    /// of each sequence, rows of zeros, the first sample with a row left out or -1).
    ///
    /// # Errors
    /// [`StateError::Part`] for counts that are no `int64`.
    pub fn write(&self, state: &mut State) -> Result<(), StateError> {
        let heads = self.heads;
        // An id is any 64 bits.
        let mut counts: Vec<i64> = self.texts.iter().map(|&count| count as i64).collect();
        counts.extend([self.zero_rows as i64, self.first_left_out.map_or(-1, |id| id as i64)]);
        state.put("patterns", [STATISTICS, heads], self.sums.clone())?;
        state.put("pattern_texts", [STATISTICS, heads], self.defined.clone())?;
        state.put(CHANCE, [2, STATISTICS, heads], self.chance.clone())?;
        state.put("pattern_attainable", [2, heads], self.attainable.clone())?;
        state.put("pattern_rows", [2, heads], self.rows.clone())?;
        state.put("pattern_ahead", [2, heads], self.ahead.clone())?;
        state.put("pattern_counts", [counts.len()], counts)
    }

    /// Reads what [`Self::write`] wrote, for these heads.
    ///
    /// # Errors
    /// [`StateError::Part`] names the part that is missing or has another form.
    pub fn read(state: &State, layout: &HeadLayout) -> Result<Self, StateError> {
        let (heads, streams) = (layout.heads(), layout.streams().len());
        let all: Vec<i64> = state.get("pattern_counts", &[3 * streams + 2])?;
        let (counts, first_left_out) = match all.split_last() {
            Some((last, counts)) => (counts, u64::try_from(*last).ok()),
            None => (&all[..], None),
        };
        let counts: Result<Vec<u64>, _> = counts.iter().map(|&count| u64::try_from(count)).collect();
        let mut texts = counts.map_err(|_| StateError::Part {
            part: "pattern_counts".to_owned(),
            found: "no counts".to_owned(),
            needed: "counts".to_owned(),
        })?;
        let zero_rows = texts.pop().unwrap_or(0);
        Ok(Self {
            heads,
            streams,
            sums: finite(state, "patterns", &[STATISTICS, heads])?,
            defined: state.get("pattern_texts", &[STATISTICS, heads])?,
            chance: match state.version > Self::WITHOUT_CHANCE {
                true => state.get(CHANCE, &[2, STATISTICS, heads])?,
                false => vec![f64::NAN; 2 * STATISTICS * heads],
            },
            attainable: finite(state, "pattern_attainable", &[2, heads])?,
            rows: state.get("pattern_rows", &[2, heads])?,
            ahead: state.get("pattern_ahead", &[2, heads])?,
            texts,
            zero_rows,
            first_left_out,
        })
    }
}
