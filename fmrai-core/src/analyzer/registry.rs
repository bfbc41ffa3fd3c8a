//! All methods linked into this program.

use super::method::RegisteredConfig;
use crate::registry::{self, Entry, Registered};

/// What is known of a method without building it.
pub struct AnalyzerEntry {
    /// Its name, and what it answers.
    pub about: Entry,
    /// The config with all fields at their defaults.
    pub example: fn() -> Box<dyn RegisteredConfig>,
    /// True for an [`Experiment`](crate::experiment::Experiment).
    pub drives_model: bool,
}

impl AnalyzerEntry {
    /// The entry of the analyzer whose config is `C`.
    #[must_use]
    pub const fn of<C: RegisteredConfig + Default + 'static>(about: Entry) -> Self {
        Self { about, example: || Box::new(C::default()), drives_model: false }
    }

    /// The entry of the experiment whose config is `C`.
    #[must_use]
    pub const fn of_experiment<C: RegisteredConfig + Default + 'static>(about: Entry) -> Self {
        Self { about, example: || Box::new(C::default()), drives_model: true }
    }
}

impl Registered for AnalyzerEntry {
    const PLURAL: &'static str = "analyzers";

    fn about(&self) -> &Entry {
        &self.about
    }
}

inventory::collect!(AnalyzerEntry);

/// Analyzers by name, sorted.
pub type Registry = registry::Registry<AnalyzerEntry>;

/// Registers an analyzer config, so that every host that links the crate offers it, and plans can name it.
///
/// ```
/// # use fmrai_core::analyzer::*;
/// # use serde::{Serialize, Deserialize};
/// /// What the analysis can be told.
/// #[derive(Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
/// #[serde(default, deny_unknown_fields)]
/// struct Norms {}
///
/// impl AnalyzerConfig for Norms {
///     fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
/// #       unreachable!()
///     }
/// }
///
/// fmrai_core::register_analyzer!(Norms, name: "norms", summary: "mean norm of each activation");
/// # let registry = Registry::linked().unwrap();
/// # assert_eq!(registry.get("norms").unwrap().about.summary, "mean norm of each activation");
/// # let config: Box<dyn RegisteredConfig> = serde_json::from_str(r#"{"type": "norms"}"#).unwrap();
/// # assert_eq!(serde_json::to_string(&config).unwrap(), r#"{"type":"norms"}"#);
/// ```
///
/// The config type needs `Default`, `serde`'s traits and `schemars::JsonSchema`. Expands to one
/// [`register!`](crate::register), by which the config is [`Named`](crate::registry::Named) too.
#[macro_export]
macro_rules! register_analyzer {
    ($config:ty, name: $name:literal, summary: $summary:literal $(,)?) => {
        impl $crate::analyzer::MethodConfig for $config {
            fn method(&self) -> ::core::result::Result<$crate::analyzer::Method, $crate::analyzer::ConfigError> {
                $crate::analyzer::AnalyzerConfig::build(self).map($crate::analyzer::Method::Analyzer)
            }
        }

        $crate::register!(
            $config as $crate::analyzer::RegisteredConfig,
            $crate::analyzer::AnalyzerEntry::of::<$config>,
            name: $name,
            summary: $summary
        );
    };
}

/// Registers the config of an [`Experiment`](crate::experiment::Experiment), as [`register_analyzer!`](crate::register_analyzer) does
/// that of an analyzer: both are named in a plan alike, and their names are one set.
#[macro_export]
macro_rules! register_experiment {
    ($config:ty, name: $name:literal, summary: $summary:literal $(,)?) => {
        impl $crate::analyzer::MethodConfig for $config {
            fn method(&self) -> ::core::result::Result<$crate::analyzer::Method, $crate::analyzer::ConfigError> {
                $crate::experiment::ExperimentConfig::build(self).map($crate::analyzer::Method::Experiment)
            }

            fn method_in(
                &self,
                base: &::std::path::Path,
            ) -> ::core::result::Result<$crate::analyzer::Method, $crate::analyzer::ConfigError> {
                $crate::experiment::ExperimentConfig::build_in(self, base).map($crate::analyzer::Method::Experiment)
            }
        }

        $crate::register!(
            $config as $crate::analyzer::RegisteredConfig,
            $crate::analyzer::AnalyzerEntry::of_experiment::<$config>,
            name: $name,
            summary: $summary
        );
    };
}
