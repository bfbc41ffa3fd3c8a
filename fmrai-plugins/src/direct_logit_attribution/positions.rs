//! The positions that are looked at, and the logits that are attributed there.

use std::ops::Range;

use fmrai_core::batch::{Pair, PairRole, Sample};

use super::config::Target;

/// A position of a batch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Position {
    pub(super) sample: usize,
    pub(super) position: usize,
    /// Tokens with the weights of their logits.
    pub(super) logits: Vec<(usize, f64)>,
}

/// The positions of a batch, and where those of each text are.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Positions {
    pub(super) all: Vec<Position>,
    pub(super) texts: Vec<Range<usize>>,
    /// Texts of which the logits of right and wrong tokens are looked at.
    pub(super) answers: u64,
    /// Of these, those without a wrong token.
    pub(super) without_wrong: u64,
}

/// The positions of the texts that count, of a model of so many tokens.
pub(super) fn positions(samples: &[Sample], target: Option<Target>, tokens: usize) -> Positions {
    let mut found = Positions::default();
    for (at, sample) in samples.iter().enumerate() {
        let first = found.all.len();
        let pair = sample.pair.as_ref();
        if pair.is_some_and(|pair| pair.role == PairRole::Corrupted) {
            continue;
        }
        match (target, pair) {
            (None | Some(Target::Answer), Some(pair)) => {
                let last = sample.span.end.checked_sub(1).filter(|last| sample.span.contains(last));
                if let (Some(position), Some(logits)) = (last, answer(pair, tokens)) {
                    found.all.push(Position { sample: at, position, logits });
                    found.answers += 1;
                    found.without_wrong += u64::from(pair.wrong.is_empty());
                }
            }
            (None | Some(Target::NextToken), _) => {
                let next = sample.token_ids.iter().skip(1).map(|id| *id as usize);
                for (position, token) in sample.span.clone().zip(next).filter(|(_, token)| *token < tokens) {
                    found.all.push(Position { sample: at, position, logits: vec![(token, 1.0)] });
                }
            }
            (Some(Target::Answer), None) => {}
        }
        if found.all.len() > first {
            found.texts.push(first..found.all.len());
        }
    }
    found
}

/// The mean over the right tokens less that over the wrong ones; `None` where the vocabulary lacks one, or nothing is right.
fn answer(pair: &Pair, tokens: usize) -> Option<Vec<(usize, f64)>> {
    let of = |ids: &[u32], sign: f64| {
        let weight = sign / ids.len() as f64;
        ids.iter().map(|id| (*id as usize, weight)).collect::<Vec<_>>()
    };
    let all = [of(&pair.right, 1.0), of(&pair.wrong, -1.0)].concat();
    (!pair.right.is_empty() && all.iter().all(|(id, _)| *id < tokens)).then_some(all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fmrai_core::testing::padded_sample;

    use super::*;

    fn of_pair(role: PairRole, wrong: &[u32]) -> Sample {
        let pair = Pair { role, right: vec![3, 4], wrong: wrong.to_vec(), marks: BTreeMap::new() };
        Sample { pair: Some(pair), ..padded_sample(0, &[1, 2, 3], 2) }
    }

    #[test]
    fn answers_stand_at_the_last_token_of_clean_texts() {
        let samples = [
            of_pair(PairRole::Clean, &[5]),
            of_pair(PairRole::Corrupted, &[5]),
            padded_sample(1, &[7, 8], 1),
        ];
        let found = positions(&samples, Some(Target::Answer), 9);
        let logits = vec![(3, 0.5), (4, 0.5), (5, -1.0)];
        assert_eq!(found.all, [Position { sample: 0, position: 4, logits }]);
        assert_eq!((found.answers, found.without_wrong), (1, 0));
        // The text that is none of a pair counts by its next tokens.
        assert_eq!(positions(&samples, None, 9).texts, [0..1, 1..2]);
        assert_eq!(
            positions(&samples, None, 9).all[1],
            Position { sample: 2, position: 1, logits: vec![(8, 1.0)] }
        );
        // A vocabulary without the token, and pairs without a wrong one.
        assert!(positions(&samples, Some(Target::Answer), 5).all.is_empty());
        assert_eq!(positions(&[of_pair(PairRole::Clean, &[])], None, 9).without_wrong, 1);
    }

    #[test]
    fn next_tokens_stand_at_all_positions_but_the_last() {
        let samples =
            [of_pair(PairRole::Corrupted, &[5]), of_pair(PairRole::Clean, &[5]), padded_sample(1, &[7], 0)];
        let found = positions(&samples, Some(Target::NextToken), 9);
        let at: Vec<_> = found.all.iter().map(|p| (p.sample, p.position, p.logits[0])).collect();
        assert_eq!(at, [(1, 2, (2, 1.0)), (1, 3, (3, 1.0))]);
        assert_eq!(found.texts, vec![0..2; 1]);
    }
}
