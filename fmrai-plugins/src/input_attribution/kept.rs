//! Results that are kept text by text.

use std::collections::BTreeMap;

use fmrai_core::analyzer::{State, StateError};
use serde::{Deserialize, Serialize};

use super::config::Method;
use crate::first_texts::{FirstTexts, of_document, wrong};

/// What was found of a text, with its tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Text {
    pub(super) tokens: Vec<u32>,
    /// The tokens as they stand in the text.
    pub(super) pieces: Vec<String>,
    /// The token where the answer is read.
    pub(super) answer: usize,
    /// True if the data say what is right and wrong.
    pub(super) of_pair: bool,
    pub(super) right: Vec<u32>,
    pub(super) wrong: Vec<u32>,
    #[serde(skip)]
    pub(super) numbers: Numbers,
}

/// The numbers of a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Numbers {
    /// The metric.
    pub(super) value: f64,
    /// The metric at the baseline; NaN where nothing was integrated.
    pub(super) at_baseline: f64,
    /// What the attributions sum to beyond the difference of those.
    pub(super) gap: f64,
    pub(super) error: f64,
    /// Nodes of the integral.
    pub(super) steps: f64,
    /// For each method, a number for each token.
    pub(super) attributions: BTreeMap<Method, Vec<f64>>,
    /// `[position, input position]`; empty where there is none.
    pub(super) rollout: Vec<f64>,
}

/// Single numbers of a text.
const SINGLE: usize = 5;

/// The texts that come first in the data.
pub(super) type Kept = FirstTexts<Text>;

impl Kept {
    pub(super) fn put(&self, state: &mut State) -> Result<(), StateError> {
        self.put_document(state)?;
        let all = || self.texts.values().map(|text| &text.numbers);
        let single =
            all().flat_map(|n| [n.value, n.at_baseline, n.gap, n.error, n.steps]).collect::<Vec<f64>>();
        state.put("texts", [self.texts.len(), SINGLE], single)?;
        for method in Method::ALL {
            let own: Vec<f64> = all().flat_map(|n| n.attributions.get(&method)).flatten().copied().collect();
            state.put(method.name(), [own.len()], own)?;
        }
        let rolled: Vec<f64> = all().flat_map(|n| &n.rollout).copied().collect();
        state.put("rollout of all positions", [rolled.len()], rolled)
    }

    pub(super) fn get(state: &State, most: usize, methods: &[Method]) -> Result<Self, StateError> {
        let mut texts: BTreeMap<u64, Text> = of_document(state)?;
        if let Some(text) =
            texts.values().find(|t| t.pieces.len() != t.tokens.len() || t.answer >= t.tokens.len())
        {
            let found = format!("a text of {} tokens and {} pieces", text.tokens.len(), text.pieces.len());
            return Err(wrong("texts", found, "as many pieces, and its answer among them"));
        }
        let single = state.get::<f64>("texts", &[texts.len(), SINGLE])?;
        let flat = |name: &str| -> Result<Vec<f64>, StateError> {
            let shape = state.tensors.get(name).map(|tensor| tensor.shape().to_vec()).unwrap_or_default();
            state.get::<f64>(name, &shape)
        };
        let count: usize = texts.values().map(|text| text.tokens.len()).sum();
        let squares: usize = texts.values().map(|text| text.tokens.len().pow(2)).sum();
        for (text, n) in texts.values_mut().zip(single.chunks_exact(SINGLE)) {
            text.numbers = Numbers {
                value: n[0],
                at_baseline: n[1],
                gap: n[2],
                error: n[3],
                steps: n[4],
                ..Numbers::default()
            };
        }
        for method in methods {
            let own = flat(method.name())?;
            if own.is_empty() && count > 0 {
                continue; // a method that the model has nothing for
            }
            if own.len() != count {
                return Err(wrong(method.name(), format!("{} numbers", own.len()), "one for each token"));
            }
            let mut rest = own.as_slice();
            for text in texts.values_mut() {
                let (head, tail) = rest.split_at(text.tokens.len());
                text.numbers.attributions.insert(*method, head.to_vec());
                rest = tail;
            }
        }
        let rolled = flat("rollout of all positions")?;
        if rolled.len() == squares {
            let mut rest = rolled.as_slice();
            for text in texts.values_mut() {
                let (head, tail) = rest.split_at(text.tokens.len().pow(2));
                text.numbers.rollout = head.to_vec();
                rest = tail;
            }
        } else if !rolled.is_empty() {
            let found = format!("{} numbers", rolled.len());
            return Err(wrong("rollout of all positions", found, "one for each two tokens of a text"));
        }
        Ok(Self::of(most, texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tokens: u32) -> Text {
        let each = |of: f64| (0..tokens).map(|at| of * f64::from(at)).collect();
        Text {
            tokens: (0..tokens).collect(),
            pieces: (0..tokens).map(|at| at.to_string()).collect(),
            answer: 0,
            of_pair: true,
            right: vec![1],
            wrong: Vec::new(),
            numbers: Numbers {
                value: f64::from(tokens),
                at_baseline: 0.1,
                gap: -0.2,
                error: 0.3,
                steps: 8.0,
                attributions: [(Method::Saliency, each(1.0)), (Method::Rollout, each(0.5))].into(),
                rollout: vec![0.25; (tokens * tokens) as usize],
            },
        }
    }

    #[test]
    fn the_first_texts_are_kept_in_whatever_order_they_come() {
        let all = [7, 1, 5, 3];
        let mut one = Kept::new(2);
        all.iter().for_each(|id| one.add(*id, text(*id as u32)));
        let mut other = Kept::new(2);
        let mut part = Kept::new(2);
        [3, 5].iter().for_each(|id| other.add(*id, text(*id as u32)));
        [1, 7].iter().for_each(|id| part.add(*id, text(*id as u32)));
        assert!(other.wants(4) && !other.wants(6));
        other.merge(part);
        assert_eq!(one, other);
        assert_eq!(one.texts.keys().copied().collect::<Vec<_>>(), [1, 3]);
        assert!(!Kept::new(0).wants(1));
    }

    #[test]
    fn a_state_keeps_them() {
        let mut kept = Kept::new(5);
        [2, 3].iter().for_each(|id| kept.add(*id, text(*id as u32)));
        let mut state = State::new("test", 1, serde_json::json!({}));
        kept.put(&mut state).unwrap();
        let state = State::from_bytes(&state.to_bytes().unwrap()).unwrap();
        let methods = [Method::Saliency, Method::Rollout];
        assert_eq!(Kept::get(&state, 5, &methods).unwrap(), kept);
        let mut broken = state.clone();
        broken.put("saliency", [1], vec![0.0]).unwrap();
        assert!(Kept::get(&broken, 5, &methods).is_err());
        let mut broken = state;
        broken.document["texts"]["2"]["answer"] = 9.into();
        assert!(Kept::get(&broken, 5, &methods).is_err());
    }
}
