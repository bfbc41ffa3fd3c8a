//! All analyzers linked into this program.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use super::AnalyzerConfig;

/// What is known of an analyzer without building it.
pub struct AnalyzerEntry {
    /// The `type` of its config in a plan.
    pub name: &'static str,
    /// One line that says what it answers.
    pub summary: &'static str,
    /// The config with all fields at their defaults.
    pub example: fn() -> Box<dyn AnalyzerConfig>,
    /// JSON Schema of its config, without the `type` field.
    pub schema: fn() -> Value,
    /// The crate it comes from, with version.
    pub origin: &'static str,
}

inventory::collect!(AnalyzerEntry);

/// Registers an analyzer config, so that every host that links the crate offers it.
///
/// ```
/// # use fmrai_core::analyzer::*;
/// # use serde::{Serialize, Deserialize};
/// /// What the analysis can be told.
/// #[derive(Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
/// #[serde(default, deny_unknown_fields)]
/// struct Norms {}
///
/// #[typetag::serde(name = "norms")]
/// impl AnalyzerConfig for Norms {
///     fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
/// #       unreachable!()
///     }
/// }
///
/// fmrai_core::register_analyzer!(Norms, name: "norms", summary: "mean norm of each activation");
/// # let registry = Registry::linked().unwrap();
/// # assert_eq!(registry.get("norms").unwrap().summary, "mean norm of each activation");
/// ```
///
/// The config type needs `Default` and `schemars::JsonSchema`. Expands to one `inventory::submit!`.
#[macro_export]
macro_rules! register_analyzer {
    ($config:ty, name: $name:literal, summary: $summary:literal $(,)?) => {
        $crate::__private::inventory::submit! {
            $crate::analyzer::AnalyzerEntry {
                name: $name,
                summary: $summary,
                example: || ::std::boxed::Box::<$config>::default(),
                schema: $crate::analyzer::schema_of::<$config>,
                origin: ::core::concat!(
                    ::core::env!("CARGO_PKG_NAME"), " ", ::core::env!("CARGO_PKG_VERSION")
                ),
            }
        }
    };
}

/// JSON Schema of a config type.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// Two analyzers want the same name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two analyzers are called {name:?}: one from {first}, one from {second}")]
pub struct DuplicateAnalyzer {
    /// The name.
    pub name: String,
    /// Where the first comes from.
    pub first: String,
    /// Where the second comes from.
    pub second: String,
}

/// Analyzers by name, sorted.
pub struct Registry {
    entries: BTreeMap<&'static str, &'static AnalyzerEntry>,
}

impl Registry {
    /// All analyzers linked into this program.
    ///
    /// # Errors
    /// [`DuplicateAnalyzer`] names both origins of a name that is taken twice.
    pub fn linked() -> Result<Self, DuplicateAnalyzer> {
        Self::of(inventory::iter::<AnalyzerEntry>)
    }

    fn of(entries: impl IntoIterator<Item = &'static AnalyzerEntry>) -> Result<Self, DuplicateAnalyzer> {
        let mut sorted = BTreeMap::new();
        for entry in entries {
            if let Some(first) = sorted.insert(entry.name, entry) {
                let mut origins = [first.origin, entry.origin];
                origins.sort_unstable();
                return Err(DuplicateAnalyzer {
                    name: entry.name.to_owned(),
                    first: origins[0].to_owned(),
                    second: origins[1].to_owned(),
                });
            }
        }
        Ok(Self { entries: sorted })
    }

    /// The analyzer called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'static AnalyzerEntry> {
        self.entries.get(name).copied()
    }

    /// All analyzers, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &'static AnalyzerEntry> + '_ {
        self.entries.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Box<dyn AnalyzerConfig> {
        unreachable!("never built")
    }
    static ONE: AnalyzerEntry =
        AnalyzerEntry { name: "same", summary: "", example, schema: || Value::Null, origin: "crate b 1" };
    static TWO: AnalyzerEntry =
        AnalyzerEntry { name: "same", summary: "", example, schema: || Value::Null, origin: "crate a 1" };
    static THREE: AnalyzerEntry =
        AnalyzerEntry { name: "other", summary: "", example, schema: || Value::Null, origin: "crate a 1" };

    #[test]
    fn a_name_taken_twice_names_both_origins() {
        let error = Registry::of([&ONE, &TWO]).err().unwrap();
        assert_eq!(
            error.to_string(),
            "two analyzers are called \"same\": one from crate a 1, one from crate b 1"
        );
    }

    #[test]
    fn listing_is_sorted() {
        let registry = Registry::of([&ONE, &THREE]).unwrap();
        assert_eq!(registry.iter().map(|e| e.name).collect::<Vec<_>>(), ["other", "same"]);
    }
}
