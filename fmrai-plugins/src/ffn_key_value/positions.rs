//! Reading captured tensors: which rows belong to which text.

use fmrai_core::batch::Sample;

use super::config::Strategy;

/// A position of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// Row of the batch.
    pub(super) sample: usize,
    /// Position in the padded row.
    pub(super) position: usize,
    /// Position in the text, from 0.
    pub(super) token: u32,
}

/// The positions of a batch that are looked at, text by text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) at: Vec<Position>,
    /// For each text that has any: row of the batch, and where its positions end in `at`.
    pub(super) texts: Vec<(usize, usize)>,
}

impl Selection {
    /// The positions that a strategy admits. `positions` is the length of rows whose sample has no tokens.
    pub(super) fn of(samples: &[Sample], positions: usize, strategy: Strategy, special_tokens: bool) -> Self {
        let mut selection = Self::default();
        for (row, sample) in samples.iter().enumerate() {
            let whole = sample.token_ids.is_empty() && sample.span.is_empty();
            let span = if whole { 0..positions } else { sample.span.clone() };
            let added = |token: usize| sample.special.get(token) == Some(&true);
            let before = selection.at.len();
            for (token, position) in span.enumerate() {
                let admitted = match strategy {
                    Strategy::FirstToken => token == 0,
                    Strategy::Prefix => special_tokens || !added(token),
                };
                if admitted && let Ok(token) = u32::try_from(token) {
                    selection.at.push(Position { sample: row, position, token });
                }
            }
            if selection.at.len() > before {
                selection.texts.push((row, selection.at.len()));
            }
        }
        selection
    }
}
