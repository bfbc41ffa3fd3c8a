//! The model sources of a program.

use fmrai_core::registry::{self, Entry, Registered};

/// A model source that is linked in; made by [`register_model_source!`](crate::register_model_source).
#[derive(Debug, Clone, Copy)]
pub struct ModelSourceEntry(pub Entry);

impl Registered for ModelSourceEntry {
    const PLURAL: &'static str = "model sources";

    fn about(&self) -> &Entry {
        &self.0
    }
}

inventory::collect!(ModelSourceEntry);

/// Model sources by name, sorted.
pub type ModelSources = registry::Registry<ModelSourceEntry>;

/// Registers a model source, so that every host that links the crate offers it, and plans can name it.
///
/// ```
/// use fmrai_core::registry::Named;
/// use fmrai_torch::model::{LoadContext, Model, ModelError, ModelSource, ModelSources};
///
/// /// What a plan says of such a model.
/// #[derive(Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Echo {}
///
/// impl ModelSource for Echo {
///     fn load(&self, _: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
///         Err(ModelError::Config { what: "an echo has no weights".to_owned() })
///     }
/// }
///
/// fmrai_torch::register_model_source!(Echo, name: "echo", summary: "gives back what it gets");
/// # fn main() {
/// assert!(ModelSources::linked().unwrap().get(Echo::NAME).is_some());
/// # }
/// ```
///
/// The config type needs `serde`'s traits and `schemars::JsonSchema`. Expands to one [`register!`](fmrai_core::register).
#[macro_export]
macro_rules! register_model_source {
    ($config:ty, name: $name:literal, summary: $summary:literal $(,)?) => {
        $crate::__private::register!(
            $config as $crate::model::RegisteredModelSource,
            $crate::model::ModelSourceEntry,
            name: $name,
            summary: $summary
        );
    };
}
