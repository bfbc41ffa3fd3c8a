//! The texts that triggers name.

use std::collections::BTreeMap;
use std::sync::Arc;

use fmrai_core::batch::{Sample, Vocabulary};

/// What is kept of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) text: Option<Arc<str>>,
    pub(super) tokens: Vec<u32>,
    /// The byte of the text at which each token ends; 0 where that is not known, as of tokens that the tokenizer added.
    /// Empty without a text.
    pub(super) ends: Vec<u32>,
}

impl Text {
    fn of(sample: &Sample) -> Self {
        let end = |token: usize| {
            let offsets = sample.offsets.get(token).filter(|o| !o.is_empty())?;
            u32::try_from(offsets.end).ok()
        };
        let count = if sample.text.is_some() { sample.token_ids.len() } else { 0 };
        let ends = (0..count).map(|token| end(token).unwrap_or(0)).collect();
        Self { text: sample.text.clone(), tokens: sample.token_ids.clone(), ends }
    }

    /// Every token as it stands in the text, with the spaces before it; in a row they are the text. Those that the
    /// tokenizer added are shown as it has them, set apart by spaces. Where the text is not known, each token is what it stands for by itself.
    pub(super) fn shown(&self, vocabulary: Option<&Vocabulary>) -> Vec<String> {
        let mut from = 0;
        let mut after_added = false;
        let mut all = Vec::with_capacity(self.tokens.len());
        for (i, &token) in self.tokens.iter().enumerate() {
            let end = self.ends.get(i).map_or(0, |&end| end as usize);
            // A token may share its letters with the one before it, of which it then is a further byte.
            let slice = self
                .text
                .as_deref()
                .filter(|_| end > 0)
                .map(|t| t.get(from..end.max(from)).unwrap_or_default());
            if let Some(slice) = slice {
                from = end.max(from);
                let apart = std::mem::take(&mut after_added) && !slice.starts_with(char::is_whitespace);
                all.push(if apart { format!(" {slice}") } else { slice.to_owned() });
                continue;
            }
            after_added = true;
            if let (None, Some(text)) = (&self.text, vocabulary.and_then(|v| v.text(token))) {
                all.push(text.to_owned());
                continue;
            }
            let space = if i > 0 { " " } else { "" };
            let word = vocabulary.map(|v| v.surface(token)).filter(|word| !word.is_empty());
            all.push(word.map_or_else(|| format!("{space}#{token}"), |word| format!("{space}{word}")));
        }
        all
    }
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
            self.texts.insert(sample.id, Text::of(sample));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: Option<&str>, offsets: Vec<std::ops::Range<usize>>) -> Sample {
        Sample {
            text: text.map(Into::into),
            token_ids: (0..offsets.len() as u32).collect(),
            offsets,
            ..Sample::new(0)
        }
    }

    #[test]
    fn tokens_in_a_row_are_the_text() {
        // "é" of two bytes is cut into two tokens, which share it.
        let text = "The  café.";
        let text = Text::of(&sample(Some(text), vec![0..0, 0..3, 5..8, 8..10, 8..10, 10..11, 0..0]));
        let tokens = ["[CLS]", "the", "caf", "Ã", "©", ".", "[SEP]"].map(String::from).to_vec();
        let vocabulary = Vocabulary { tokens, ..Vocabulary::default() };
        assert_eq!(text.shown(Some(&vocabulary)), ["[CLS]", " The", "  caf", "é", "", ".", " [SEP]"]);
    }

    #[test]
    fn without_the_text_tokens_are_what_they_stand_for() {
        let text = Text::of(&sample(None, vec![0..0, 0..3]));
        assert_eq!(text.shown(None), ["#0", " #1"]);
        // Without a decoder the marks that are common are known, and no more.
        let vocabulary = Vocabulary { tokens: vec!["a".into(), "Ġb".into()], ..Vocabulary::default() };
        assert_eq!(text.shown(Some(&vocabulary)), ["a", " b"]);
        let texts = vec!["a".into(), " b".into()];
        let decoded = Vocabulary { texts, ..vocabulary };
        assert_eq!(text.shown(Some(&decoded)), ["a", " b"]);
        // Endings stand at their words.
        let tokens = vec!["the".into(), "##re".into()];
        let vocabulary =
            Vocabulary { tokens, texts: vec![" the".into(), "re".into()], ..Vocabulary::default() };
        assert_eq!(text.shown(Some(&vocabulary)), [" the", "re"]);
    }
}
