//! Typed access to the metadata of a file. Each error names the key, what was found and what would be valid.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::container::Value;
use crate::transformer::MAX_SIZE;

/// `found` where `needed` is.
pub(super) fn wrong(key: &str, found: &Value, needed: &str) -> String {
    format!("`{key}` is {found}, {needed}")
}

/// The metadata that describe an architecture: those whose keys begin with its name.
pub(super) struct Keys<'a> {
    metadata: &'a BTreeMap<String, Value>,
    architecture: &'a str,
    /// The keys that were asked for.
    known: RefCell<BTreeSet<String>>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(metadata: &'a BTreeMap<String, Value>, architecture: &'a str) -> Self {
        Self { metadata, architecture, known: RefCell::default() }
    }

    /// The name in full, such as `llama.block_count` of `block_count`.
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        let name = self.name(key);
        let value = self.metadata.get(&name);
        self.known.borrow_mut().insert(name);
        value
    }

    /// Says that these keys change nothing here.
    pub(super) fn ignore(&self, keys: &[&str]) {
        self.known.borrow_mut().extend(keys.iter().map(|key| self.name(key)));
    }

    /// `found` where `needed` is.
    pub(super) fn wrong(&self, key: &str, found: &Value, needed: &str) -> String {
        wrong(&self.name(key), found, needed)
    }

    fn missing(&self, key: &str) -> String {
        format!("no `{}`", self.name(key))
    }

    /// A size of at least 1, the same for all layers.
    pub(super) fn size(&self, key: &str) -> Result<Option<u64>, String> {
        self.get(key)
            .map(|value| {
                let same = || {
                    let all = value.as_i64s()?;
                    let first = *all.first()?;
                    all.iter().all(|other| *other == first).then(|| u64::try_from(first).ok())?
                };
                value.as_u64().or_else(same).filter(|n| (1..=MAX_SIZE).contains(n)).ok_or_else(|| {
                    let needed =
                        format!("a whole number from 1 to {MAX_SIZE}, the same for all layers, is needed");
                    self.wrong(key, value, &needed)
                })
            })
            .transpose()
    }

    /// A size that has to be there.
    pub(super) fn needed_size(&self, key: &str) -> Result<u64, String> {
        self.size(key)?.ok_or_else(|| self.missing(key))
    }

    /// A number above 0.
    pub(super) fn positive(&self, key: &str) -> Result<Option<f64>, String> {
        self.get(key)
            .map(|value| {
                value
                    .as_f64()
                    .filter(|x| x.is_finite() && *x > 0.0)
                    .ok_or_else(|| self.wrong(key, value, "a number above 0 is needed"))
            })
            .transpose()
    }

    /// A number above 0 that has to be there.
    pub(super) fn needed_positive(&self, key: &str) -> Result<f64, String> {
        self.positive(key)?.ok_or_else(|| self.missing(key))
    }

    /// True or false.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        self.get(key)
            .map(|value| value.as_bool().ok_or_else(|| self.wrong(key, value, "true or false is needed")))
            .transpose()
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        self.get(key)
            .map(|value| value.as_str().ok_or_else(|| self.wrong(key, value, "a text is needed")))
            .transpose()
    }

    /// Refuses the keys of the architecture that nobody has asked for: they may change the result.
    pub(super) fn reject_unknown(&self) -> Result<(), String> {
        let known = self.known.borrow();
        let start = format!("{}.", self.architecture);
        let unknown =
            self.metadata.iter().find(|(name, _)| name.starts_with(&start) && !known.contains(*name));
        let Some((name, value)) = unknown else { return Ok(()) };
        let all: Vec<&str> = known.iter().map(String::as_str).collect();
        Err(format!(
            "`{name}` is {value}: what it means is not known here, and it may change the result; known are {}",
            all.join(", ")
        ))
    }
}
