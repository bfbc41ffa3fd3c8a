//! Rows of random tokens that are repeated.

use fmrai_core::analyzer::{AnalyzerError, ModelView};
use fmrai_core::batch::Vocabulary;
use fmrai_core::structure::EmbeddingKind;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// The tokens that can be drawn, and how long a row can be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Drawn {
    /// Tokens of the model, special ones included.
    all: u32,
    /// Token ids without special ones.
    ids: Vec<u32>,
    /// The token put before each row.
    first: Option<u32>,
    /// Positions that the model has embeddings for.
    longest: Option<usize>,
}

/// Rows of tokens, their repeated part, and how often it stands in each.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rows {
    pub(super) rows: Vec<Vec<u32>>,
    /// Where the first part starts.
    pub(super) start: usize,
    /// Tokens of a part; 0 where that is not known.
    pub(super) length: usize,
    pub(super) times: usize,
}

impl Drawn {
    /// Of a model; `None` where it reads no tokens.
    pub(super) fn of(model: &ModelView<'_>) -> Option<Self> {
        let embeddings = &model.structure.embeddings;
        let table = embeddings.iter().find(|e| e.kind == EmbeddingKind::Token)?;
        let rows = u32::try_from(table.rows?).ok()?;
        let longest =
            embeddings.iter().filter(|e| e.kind == EmbeddingKind::Position).filter_map(|e| e.rows).min();
        let ordinary = |id: &u32| model.vocabulary.is_none_or(|vocabulary| ordinary(vocabulary, *id));
        let first = model.vocabulary.and_then(|vocabulary| vocabulary.first).filter(|id| *id < rows);
        Some(Self { all: rows, ids: (0..rows).filter(ordinary).collect(), first, longest })
    }

    /// Refuses rows that were given and that the model cannot read.
    pub(super) fn check(&self, rows: &[Vec<u32>]) -> Result<(), AnalyzerError> {
        let wrong = |found: String, needed: String| Err(AnalyzerError::Unsuitable { found, needed });
        if let Some(id) = rows.iter().flatten().find(|id| **id >= self.all) {
            let needed = format!("tokens of 0 to {}", self.all.saturating_sub(1));
            return wrong(format!("no token {id}, which `repeats.ids` names"), needed);
        }
        let length = rows.first().map_or(0, Vec::len);
        match self.longest.filter(|longest| length > *longest) {
            Some(longest) => {
                let found = format!("{longest} positions, the rows of `repeats.ids` have {length} tokens");
                wrong(found, "as many at most".to_owned())
            }
            None => Ok(()),
        }
    }

    /// Rows of `length` random tokens, `times` each, fewer tokens where the model has not so many positions. A row has no token twice,
    /// if there are enough of them. `None` where no row fits.
    pub(super) fn rows(&self, [length, times, rows]: [usize; 3], seed: u64) -> Option<Rows> {
        let start = usize::from(self.first.is_some());
        let most = self.longest.map_or(length, |longest| longest.saturating_sub(start) / times.max(1));
        let length = length.min(most);
        if length == 0 || self.ids.is_empty() {
            return None;
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut below = |n: usize| ((u128::from(random.next_u64()) * n as u128) >> 64) as usize;
        let mut row = || {
            let mut ids = self.ids.clone();
            let mut part = Vec::with_capacity(length);
            for at in 0..length {
                if ids.len() < length {
                    part.push(ids[below(ids.len())]);
                } else {
                    let chosen = at + below(ids.len() - at);
                    ids.swap(at, chosen);
                    part.push(ids[at]);
                }
            }
            self.first.into_iter().chain((0..times).flat_map(|_| part.clone())).collect()
        };
        Some(Rows { rows: (0..rows).map(|_| row()).collect(), start, length, times })
    }
}

/// A token that texts have: used, and not written as special ones are.
fn ordinary(vocabulary: &Vocabulary, id: u32) -> bool {
    let special = [vocabulary.first, vocabulary.separator, vocabulary.padding, vocabulary.unknown];
    let token = vocabulary.tokens.get(id as usize).map_or("", String::as_str);
    let bracketed =
        |open: char, close: char| token.len() > 2 && token.starts_with(open) && token.ends_with(close);
    !token.is_empty() && !special.contains(&Some(id)) && !bracketed('<', '>') && !bracketed('[', ']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(longest: Option<usize>) -> Drawn {
        Drawn { all: 40, ids: (10..40).collect(), first: Some(1), longest }
    }

    #[test]
    fn rows_repeat_tokens_that_occur_once() {
        let rows = drawn(None).rows([8, 3, 4], 7).unwrap();
        assert_eq!((rows.rows.len(), rows.start, rows.length, rows.times), (4, 1, 8, 3));
        for row in &rows.rows {
            assert_eq!((row.len(), row[0]), (25, 1));
            assert_eq!(row[1..9], row[9..17]);
            assert_eq!(row[1..9], row[17..]);
            let mut part = row[1..9].to_vec();
            part.sort_unstable();
            part.dedup();
            assert_eq!(part.len(), 8);
        }
        assert_eq!(drawn(None).rows([8, 3, 4], 7).unwrap(), rows);
        assert_ne!(drawn(None).rows([8, 3, 4], 8).unwrap(), rows);
    }

    #[test]
    fn rows_fit_into_the_positions_of_the_model() {
        let rows = drawn(Some(10)).rows([8, 2, 1], 0).unwrap();
        assert_eq!((rows.length, rows.rows[0].len()), (4, 9));
        assert_eq!(drawn(Some(2)).rows([8, 2, 1], 0), None);
        assert_eq!(drawn(None).rows([50, 2, 1], 0).unwrap().length, 50);
    }

    #[test]
    fn special_tokens_are_not_drawn() {
        let tokens =
            ["<s>", "a", "", "<|user|>", "[MASK]", "[", "##b", "<0x0A>", "</s>"].map(String::from).to_vec();
        let vocabulary = Vocabulary { tokens, first: Some(0), separator: Some(8), ..Vocabulary::default() };
        let found: Vec<u32> = (0..12).filter(|id| ordinary(&vocabulary, *id)).collect();
        assert_eq!(found, [1, 5, 6]);
    }
}
