//! Sources of models and data that are linked into a program.

use std::collections::BTreeMap;

use serde_json::Value;

/// A kind of model or data source that a plan can name.
#[derive(Debug, Clone, Copy)]
pub struct SourceEntry {
    /// The `type` in a plan.
    pub name: &'static str,
    /// One line that says what it reads.
    pub summary: &'static str,
    /// JSON Schema of its fields, without the `type` field.
    pub schema: fn() -> Value,
    /// The crate it comes from, with version.
    pub origin: &'static str,
}

/// Two sources want the same name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two sources of {what} are called {name:?}: one from {first}, one from {second}")]
pub struct DuplicateSource {
    /// What they are sources of: `models` or `data`.
    pub what: &'static str,
    /// The name.
    pub name: &'static str,
    /// Where the first comes from.
    pub first: &'static str,
    /// Where the second comes from.
    pub second: &'static str,
}

/// The entries by name, sorted.
pub(crate) fn sorted(
    what: &'static str,
    entries: impl Iterator<Item = &'static SourceEntry>,
) -> Result<Vec<SourceEntry>, DuplicateSource> {
    let mut sorted = BTreeMap::new();
    for entry in entries {
        if let Some(other) = sorted.insert(entry.name, *entry) {
            let (first, second) = (other.origin.min(entry.origin), other.origin.max(entry.origin));
            return Err(DuplicateSource { what, name: entry.name, first, second });
        }
    }
    Ok(sorted.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn entry(name: &'static str, origin: &'static str) -> SourceEntry {
        SourceEntry { name, summary: "", schema: || Value::Null, origin }
    }
    static ONE: SourceEntry = entry("same", "b 1");
    static TWO: SourceEntry = entry("same", "a 1");
    static THREE: SourceEntry = entry("other", "a 1");

    #[test]
    fn sources_are_sorted_and_a_name_taken_twice_names_both_origins() {
        let names = sorted("data", [&ONE, &THREE].into_iter()).unwrap();
        assert_eq!(names.iter().map(|entry| entry.name).collect::<Vec<_>>(), ["other", "same"]);
        let error = sorted("data", [&ONE, &TWO].into_iter()).unwrap_err();
        assert_eq!(error.to_string(), "two sources of data are called \"same\": one from a 1, one from b 1");
    }
}
