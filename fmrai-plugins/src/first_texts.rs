//! What is kept of the texts that come first in the data.

use std::collections::BTreeMap;

use fmrai_core::analyzer::{State, StateError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is kept of the texts with the smallest numbers, in whatever order they come.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FirstTexts<T> {
    most: usize,
    pub(crate) texts: BTreeMap<u64, T>,
}

impl<T> FirstTexts<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self::of(most, BTreeMap::new())
    }

    pub(crate) fn of(most: usize, texts: BTreeMap<u64, T>) -> Self {
        Self { most, texts }
    }

    /// Whether a text would be kept.
    pub(crate) fn wants(&self, id: u64) -> bool {
        self.texts.len() < self.most || self.texts.last_key_value().is_some_and(|(last, _)| id < *last)
    }

    pub(crate) fn add(&mut self, id: u64, text: T) {
        self.texts.insert(id, text);
        while self.texts.len() > self.most {
            self.texts.pop_last();
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        other.texts.into_iter().for_each(|(id, text)| self.add(id, text));
    }
}

impl<T: Serialize> FirstTexts<T> {
    /// Puts what serde writes of them into the document of a state.
    pub(crate) fn put_document(&self, state: &mut State) -> Result<(), StateError> {
        let texts =
            serde_json::to_value(&self.texts).map_err(|error| StateError::Bytes(error.to_string()))?;
        state.document["texts"] = texts;
        Ok(())
    }
}

/// What [`FirstTexts::put_document`] has put there.
pub(crate) fn of_document<T: DeserializeOwned>(state: &State) -> Result<BTreeMap<u64, T>, StateError> {
    let document = state.document.get("texts").cloned().unwrap_or_default();
    serde_json::from_value(document)
        .map_err(|error| wrong("texts", error.to_string(), "texts with their tokens"))
}

/// A part of a state that is not what it should be.
pub(crate) fn wrong(part: &str, found: String, needed: &str) -> StateError {
    StateError::Part { part: part.to_owned(), found, needed: needed.to_owned() }
}
