//! A pair before it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::RngCore;

use super::Fallible;

/// A pair before it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) clean: String,
    pub(crate) corrupted: String,
    pub(crate) answer: Vec<String>,
    pub(crate) wrong: Vec<String>,
    /// Parts of the clean text, as its bytes.
    pub(crate) marks: BTreeMap<String, Range<usize>>,
}

impl Draft {
    /// Adds to both texts what they have in common.
    pub(crate) fn push(&mut self, text: &str) {
        self.clean.push_str(text);
        self.corrupted.push_str(text);
    }

    /// Adds a word, another one to each text, that is marked.
    pub(crate) fn mark(&mut self, name: &str, clean: &str, corrupted: &str) {
        let start = self.clean.len();
        self.clean.push_str(clean);
        self.corrupted.push_str(corrupted);
        self.marks.insert(name.to_owned(), start..start + clean.len());
    }
}

/// What pairs are made of.
pub(crate) trait Task {
    /// A pair by random numbers.
    fn draw(&self, random: &mut Xoshiro256PlusPlus) -> Draft;
}

/// So many pairs with different clean texts.
pub(crate) fn different(
    task: &dyn Task,
    count: usize,
    random: &mut Xoshiro256PlusPlus,
) -> Fallible<Vec<Draft>> {
    let mut seen = BTreeSet::new();
    let mut drafts = Vec::new();
    let mut in_vain = 0;
    while drafts.len() < count {
        let draft = task.draw(random);
        if seen.insert(draft.clean.clone()) {
            drafts.push(draft);
            in_vain = 0;
        } else {
            in_vain += 1;
        }
        if in_vain > 100_000 {
            let found = drafts.len();
            return Err(format!("--pairs is {count}, no more than {found} different pairs were found").into());
        }
    }
    Ok(drafts)
}

/// One of a list that is not empty.
pub(crate) fn one_of<'a, T>(random: &mut Xoshiro256PlusPlus, list: &'a [T]) -> &'a T {
    let count = u64::try_from(list.len()).unwrap_or(u64::MAX).max(1);
    &list[usize::try_from(random.next_u64() % count).unwrap_or(0)]
}

/// A template as texts, each with the name of the slot that follows it: `The {noun} is` is `The ` with `noun`, and ` is` with
/// an empty name.
pub(crate) fn parts(template: &str) -> impl Iterator<Item = (&str, &str)> {
    template.split_inclusive('}').map(|part| {
        let (text, slot) = part.split_once('{').unwrap_or((part, ""));
        (text, slot.trim_end_matches('}'))
    })
}
