//! Sums of attention to certain keys, head by head.

use std::collections::HashMap;

use fmrai_core::analyzer::{State, StateError};

/// Numbers kept of a head.
const NUMBERS: usize = 7;

/// What is kept of one head.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Head {
    /// Sum over texts of the mean attention to the previous token.
    previous_means: f64,
    texts: f64,
    /// Sum over queries of it.
    previous: f64,
    queries: f64,
    duplicate: f64,
    induction: f64,
    /// Queries with an earlier equal token.
    repeats: f64,
}

/// What was seen of all heads.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sums(Vec<Head>);

/// The queries of a text that have earlier equal tokens, with those.
pub(super) fn earlier(tokens: &[u32]) -> Vec<(usize, Vec<usize>)> {
    let mut places: HashMap<u32, Vec<usize>> = HashMap::new();
    let mut found = Vec::new();
    for (query, token) in tokens.iter().enumerate() {
        let places = places.entry(*token).or_default();
        if !places.is_empty() {
            found.push((query, places.clone()));
        }
        places.push(query);
    }
    found
}

impl Sums {
    pub(super) fn new(heads: usize) -> Self {
        Self(vec![Head::default(); heads])
    }

    /// Adds a head's attention over a text of this many tokens. `earlier` are its queries with earlier equal tokens, `row` the probabilities of a
    /// query; `None` for one that has none.
    pub(super) fn add<'r>(
        &mut self,
        head: usize,
        tokens: usize,
        earlier: &[(usize, Vec<usize>)],
        row: impl Fn(usize) -> Option<&'r [f32]>,
    ) {
        let Some(sums) = self.0.get_mut(head) else { return };
        let at = |row: &[f32], key: usize| row.get(key).map_or(0.0, |p| f64::from(*p));
        let (mut previous, mut queries) = (0.0, 0.0);
        for query in 1..tokens {
            let Some(row) = row(query) else { continue };
            previous += at(row, query - 1);
            queries += 1.0;
        }
        if queries > 0.0 {
            sums.previous_means += previous / queries;
            sums.texts += 1.0;
            sums.previous += previous;
            sums.queries += queries;
        }
        for (query, same) in earlier {
            let Some(row) = row(*query) else { continue };
            sums.duplicate += same.iter().map(|key| at(row, *key)).sum::<f64>();
            sums.induction += same.iter().map(|key| at(row, key + 1)).sum::<f64>();
            sums.repeats += 1.0;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            let sums: Vec<f64> = own.numbers().iter().zip(other.numbers()).map(|(a, b)| a + b).collect();
            *own = Head::of(&sums);
        }
    }

    /// Texts seen by any head.
    pub(super) fn texts(&self) -> f64 {
        self.0.iter().map(|head| head.texts).fold(0.0, f64::max)
    }

    /// Queries with an earlier equal token.
    pub(super) fn repeats(&self) -> f64 {
        self.0.iter().map(|head| head.repeats).fold(0.0, f64::max)
    }

    /// The scores of all heads by name; NaN where nothing was seen.
    pub(super) fn scores(&self) -> [(&'static str, Vec<f64>); 4] {
        let each = |of: fn(&Head) -> f64| self.0.iter().map(of).collect();
        [
            ("previous_token", each(|h| h.previous_means / h.texts)),
            ("previous_token_pooled", each(|h| h.previous / h.queries)),
            ("duplicate_token", each(|h| h.duplicate / h.repeats)),
            ("induction", each(|h| h.induction / h.repeats)),
        ]
    }

    pub(super) fn put(&self, state: &mut State, name: &str) -> Result<(), StateError> {
        let numbers = self.0.iter().flat_map(Head::numbers).collect();
        state.put::<f64>(name, [self.0.len(), NUMBERS], numbers)
    }

    pub(super) fn get(state: &State, name: &str, heads: usize) -> Result<Self, StateError> {
        let numbers = crate::finite::finite(state, name, &[heads, NUMBERS])?;
        Ok(Self(numbers.chunks_exact(NUMBERS).map(Head::of).collect()))
    }
}

impl Head {
    fn numbers(&self) -> [f64; NUMBERS] {
        let Self { previous_means, texts, previous, queries, duplicate, induction, repeats } = *self;
        [previous_means, texts, previous, queries, duplicate, induction, repeats]
    }

    fn of(numbers: &[f64]) -> Self {
        let at = |place: usize| numbers.get(place).copied().unwrap_or(0.0);
        Self {
            previous_means: at(0),
            texts: at(1),
            previous: at(2),
            queries: at(3),
            duplicate: at(4),
            induction: at(5),
            repeats: at(6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each token looks at itself and all before it alike.
    fn uniform(tokens: usize) -> Vec<Vec<f32>> {
        (0..tokens)
            .map(|query| {
                (0..tokens).map(|key| if key <= query { 1.0 / (query as f32 + 1.0) } else { 0.0 }).collect()
            })
            .collect()
    }

    fn scores(tokens: &[u32]) -> [f64; 4] {
        let rows = uniform(tokens.len());
        let mut sums = Sums::new(1);
        sums.add(0, tokens.len(), &earlier(tokens), |query| Some(&rows[query]));
        sums.scores().map(|(_, scores)| scores[0])
    }

    /// `detect_head` of TransformerLens on tokens B a b a b: its sums, which it divides by all 5 queries, are .45 and 1.2833.
    #[test]
    fn uniform_attention_over_repeated_tokens() {
        let [previous, pooled, duplicate, induction] = scores(&[0, 1, 2, 1, 2]);
        assert!((previous - (0.5 + 1.0 / 3.0 + 0.25 + 0.2) / 4.0).abs() < 1e-7, "{previous}");
        assert!((pooled * 4.0 / 5.0 - 0.256_666_7).abs() < 1e-6, "{pooled}");
        assert!((duplicate * 2.0 / 5.0 - 0.09).abs() < 1e-7, "{duplicate}");
        assert!((induction * 2.0 / 5.0 - 0.09).abs() < 1e-7, "{induction}");
    }

    #[test]
    fn all_earlier_equal_tokens_count_and_the_query_itself_after_a_repetition() {
        assert_eq!(earlier(&[7, 7, 8, 7]), [(1, vec![0]), (3, vec![0, 1])]);
        let [.., duplicate, induction] = scores(&[7, 7, 8, 7]);
        assert!((duplicate - (0.5 + 0.5) / 2.0).abs() < 1e-7, "{duplicate}");
        assert!((induction - (0.5 + 0.5) / 2.0).abs() < 1e-7, "{induction}");
    }

    #[test]
    fn texts_without_repetition_have_no_induction() {
        let [previous, _, duplicate, induction] = scores(&[1, 2]);
        assert!((previous - 0.5).abs() < 1e-7 && duplicate.is_nan() && induction.is_nan());
        assert!(scores(&[1])[0].is_nan());
    }

    #[test]
    fn rows_that_are_none_are_left_out() {
        let rows = uniform(3);
        let mut sums = Sums::new(1);
        sums.add(0, 3, &[], |query| (query != 2).then(|| rows[query].as_slice()));
        assert!((sums.scores()[0].1[0] - 0.5).abs() < 1e-7);
    }
}
