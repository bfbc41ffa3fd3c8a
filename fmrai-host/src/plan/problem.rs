//! Mistakes in a plan.

use std::fmt;

use fmrai_core::suggest::nearest;

use super::path::JsonPath;

/// A mistake: where it is, what was found and what is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place in the plan.
    pub path: JsonPath,
    /// What was found there and what is valid.
    pub what: String,
}

impl Problem {
    pub(crate) fn new(path: JsonPath, what: impl Into<String>) -> Self {
        Self { path, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.to_string();
        if path.is_empty() { f.write_str(&self.what) } else { write!(f, "{path}: {}", self.what) }
    }
}

/// `" (did you mean \"x\"?)"` for the nearest of `valid`, or nothing where none is near.
pub(super) fn suggestion<'a>(found: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let near = nearest(found, valid, 1);
    near.first().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_suggested() {
        let valid = ["attention_patterns", "attention_clustering"];
        assert_eq!(suggestion("attention_paterns", valid), " (did you mean \"attention_patterns\"?)");
        assert_eq!(suggestion("Attention_Clustering", valid), " (did you mean \"attention_clustering\"?)");
        assert_eq!(suggestion("probing", valid), "");
        assert_eq!(suggestion("", valid), "");
    }
}
