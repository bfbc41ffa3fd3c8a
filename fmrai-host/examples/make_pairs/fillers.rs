//! Words that a tokenizer has one token for.

use std::collections::BTreeMap;

use fmrai_torch::text::{Beginning, Tokenizer};

use super::Fallible;

/// Words told of those that are left out; more would hide the others.
const TOLD: usize = 12;

/// Keeps of lists of words those that are one token each, and remembers the others.
pub(crate) struct Fillers<'a> {
    tokenizer: &'a Tokenizer,
    left_out: BTreeMap<&'static str, Vec<String>>,
}

impl<'a> Fillers<'a> {
    pub(crate) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, left_out: BTreeMap::new() }
    }

    /// True if each of the words is one token after a word and a space, and no two of them are the same.
    pub(crate) fn single(&self, words: &[&str]) -> bool {
        let tokens: Option<Vec<u32>> =
            words.iter().map(|word| self.token("and", &format!(" {word}"))).collect();
        let different = |tokens: &Vec<u32>| (1..tokens.len()).all(|i| !tokens[..i].contains(&tokens[i]));
        tokens.as_ref().is_some_and(different)
    }

    /// The token of a text that goes on with `more`, where that is one.
    pub(crate) fn token(&self, text: &str, more: &str) -> Option<u32> {
        let beginning = Beginning::new(self.tokenizer, text).ok()?;
        match beginning.added(more).ok()??.as_slice() {
            [token] if self.tokenizer.vocabulary().unknown != Some(*token) => Some(*token),
            _ => None,
        }
    }

    /// The token of a text by itself, where that is one.
    pub(crate) fn alone(&self, text: &str) -> Option<u32> {
        match self.tokenizer.encode_framed(text).ok()?.token_ids.as_slice() {
            [token] => Some(*token),
            _ => None,
        }
    }

    /// Those of `all` whose words are one token each, at least `needed` of them.
    pub(crate) fn keep<T: Copy>(
        &mut self,
        what: &'static str,
        all: &[T],
        words: impl Fn(&T) -> Vec<&'static str>,
        needed: usize,
    ) -> Fallible<Vec<T>> {
        let (kept, split): (Vec<T>, Vec<T>) = all.iter().partition(|one| self.single(&words(one)));
        for one in split {
            self.leave_out(what, words(&one).join("/"));
        }
        enough(what, kept, needed)
    }

    /// Remembers what is not used.
    pub(crate) fn leave_out(&mut self, what: &'static str, word: String) {
        self.left_out.entry(what).or_default().push(word);
    }

    /// What was left out, as a line for each kind.
    pub(crate) fn left_out(&self) -> Vec<String> {
        let line = |(what, words): (&&str, &Vec<String>)| {
            let told = words.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if words.len() > TOLD { ", ..." } else { "" };
            format!(
                "left out, since the tokenizer splits them otherwise: {} {what} ({told}{more})",
                words.len()
            )
        };
        self.left_out.iter().map(line).collect()
    }
}

/// What is left, if that is enough.
pub(crate) fn enough<T>(what: &str, kept: Vec<T>, needed: usize) -> Fallible<Vec<T>> {
    if kept.len() < needed {
        let found = kept.len();
        let words = format!(
            "too few {what} are left: {found}, at least {needed} are needed; the tokenizer splits the others"
        );
        return Err(words.into());
    }
    Ok(kept)
}
