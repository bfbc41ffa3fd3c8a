//! The texts that triggers name.

use std::collections::BTreeMap;
use std::sync::Arc;

use fmrai_core::batch::Sample;

/// What is kept of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) text: Option<Arc<str>>,
    pub(super) tokens: Vec<u32>,
}

/// Texts by id. Those that nobody names any more are dropped from time to time, so memory follows the triggers, not
/// the data.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    texts: BTreeMap<u64, Text>,
    /// How many there may be before the next dropping.
    limit: usize,
}

/// Texts that are always kept without a look at who names them.
const FEW: usize = 4096;

impl Texts {
    /// Keeps the texts of a batch. True if there are so many now that [`retain`](Self::retain) should be called.
    pub(super) fn add(&mut self, samples: &[Sample]) -> bool {
        for sample in samples {
            let text = Text { text: sample.text.clone(), tokens: sample.token_ids.clone() };
            self.texts.insert(sample.id, text);
        }
        self.texts.len() > self.limit.max(FEW)
    }

    /// Keeps one text.
    pub(super) fn insert(&mut self, id: u64, text: Text) {
        self.texts.insert(id, text);
    }

    /// Drops all but the named ones, whose ids are sorted.
    pub(super) fn retain(&mut self, named: &[u64]) {
        self.texts.retain(|id, _| named.binary_search(id).is_ok());
        self.limit = self.texts.len() * 2;
    }

    pub(super) fn get(&self, id: u64) -> Option<&Text> {
        self.texts.get(&id)
    }

    /// The texts in the order of their ids.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (u64, &Text)> {
        self.texts.iter().map(|(id, text)| (*id, text))
    }

    /// The token after a position; `None` at the last one, and where the text has no tokens.
    pub(super) fn next_token(&self, id: u64, position: u32) -> Option<u32> {
        self.get(id)?.tokens.get(position as usize + 1).copied()
    }
}
