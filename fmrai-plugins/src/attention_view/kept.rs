//! The texts that are kept.

use std::collections::BTreeMap;

use fmrai_core::analyzer::{State, StateError};
use half::f16;
use serde::{Deserialize, Serialize};

use crate::first_texts::{FirstTexts, of_document, wrong};

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
pub(super) type Kept = FirstTexts<Text>;

impl Kept {
    pub(super) fn put(&self, state: &mut State) -> Result<(), StateError> {
        self.put_document(state)?;
        let all: Vec<f32> = self.texts.values().flat_map(|text| &text.attention).copied().collect();
        state.put("attention", [all.len()], all)
    }

    pub(super) fn get(state: &State, most: usize, heads: usize) -> Result<Self, StateError> {
        let mut texts: BTreeMap<u64, Text> = of_document(state)?;
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
        Ok(Self::of(most, texts))
    }
}

/// A probability with three significant digits.
pub(super) fn rounded(probability: f32) -> f32 {
    f16::from_f32(probability).to_f32()
}
