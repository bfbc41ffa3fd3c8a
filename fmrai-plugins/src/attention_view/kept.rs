//! The texts that are kept.

use std::collections::BTreeMap;

use fmrai_core::analyzer::{State, StateError};
use half::f16;
use serde::{Deserialize, Serialize};

/// The attention over the first tokens of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Text {
    /// Token ids; none where the input has none.
    pub(super) tokens: Vec<u32>,
    /// Each token as it stands in the text.
    pub(super) shown: Vec<String>,
    /// Positions that the whole text has.
    pub(super) of: usize,
    /// `[head, query, key]`, the heads over all layers.
    #[serde(skip)]
    pub(super) attention: Vec<f32>,
}

impl Text {
    /// Positions that are kept.
    pub(super) fn positions(&self) -> usize {
        self.shown.len()
    }
}

/// The chosen texts with the smallest numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Kept {
    most: usize,
    pub(super) texts: BTreeMap<u64, Text>,
}

impl Kept {
    pub(super) fn new(most: usize) -> Self {
        Self { most, texts: BTreeMap::new() }
    }

    /// Whether a text would be kept.
    pub(super) fn wants(&self, id: u64) -> bool {
        self.texts.len() < self.most || self.texts.last_key_value().is_some_and(|(last, _)| id < *last)
    }

    pub(super) fn add(&mut self, id: u64, text: Text) {
        self.texts.insert(id, text);
        while self.texts.len() > self.most {
            self.texts.pop_last();
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        other.texts.into_iter().for_each(|(id, text)| self.add(id, text));
    }

    pub(super) fn put(&self, state: &mut State) -> Result<(), StateError> {
        let texts =
            serde_json::to_value(&self.texts).map_err(|error| StateError::Bytes(error.to_string()))?;
        state.document["texts"] = texts;
        let all: Vec<f32> = self.texts.values().flat_map(|text| &text.attention).copied().collect();
        state.put("attention", [all.len()], all)
    }

    pub(super) fn get(state: &State, most: usize, heads: usize) -> Result<Self, StateError> {
        let document = state.document.get("texts").cloned().unwrap_or_default();
        let wrong = |part: &str, found: String, needed: &str| StateError::Part {
            part: part.to_owned(),
            found,
            needed: needed.to_owned(),
        };
        let mut texts: BTreeMap<u64, Text> = serde_json::from_value(document)
            .map_err(|error| wrong("texts", error.to_string(), "texts with their tokens"))?;
        let size = |text: &Text| text.positions().checked_pow(2).and_then(|n| n.checked_mul(heads));
        let sizes: Option<Vec<usize>> = texts.values().map(size).collect();
        let total =
            sizes.as_ref().and_then(|sizes| sizes.iter().try_fold(0usize, |sum, n| sum.checked_add(*n)));
        let needed = "as many as its texts have tokens and heads";
        let (Some(sizes), Some(total)) = (sizes, total) else {
            return Err(wrong("attention", "of texts that no memory holds".to_owned(), needed));
        };
        let all: Vec<f32> = state.get("attention", &[total])?;
        let mut rest = all.as_slice();
        for (text, size) in texts.values_mut().zip(sizes) {
            let (own, more) = rest.split_at(size);
            text.attention = own.to_vec();
            rest = more;
        }
        Ok(Self { most, texts })
    }
}

/// A probability with three significant digits.
pub(super) fn rounded(probability: f32) -> f32 {
    f16::from_f32(probability).to_f32()
}
