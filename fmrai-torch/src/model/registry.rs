//! The model sources of a program.

use crate::registration::{DuplicateSource, SourceEntry, sorted};

/// A model source that is linked in; made by [`register_model_source!`](crate::register_model_source).
#[derive(Debug, Clone, Copy)]
pub struct ModelSourceEntry(pub SourceEntry);

inventory::collect!(ModelSourceEntry);

/// All model sources linked into this program, sorted by name.
///
/// # Errors
/// [`DuplicateSource`] names both origins of a name that is taken twice.
pub fn model_sources() -> Result<Vec<SourceEntry>, DuplicateSource> {
    sorted("models", inventory::iter::<ModelSourceEntry>.into_iter().map(|entry| &entry.0))
}

/// Makes a config type a model source that plans can name, in every program that links the crate.
///
/// `load` is a function of the config and a [`LoadContext`](crate::model::LoadContext). The type needs serde's traits, `Debug` and
/// `schemars::JsonSchema`. It gets a constant `NAME`, and is a [`ModelSource`](crate::model::ModelSource).
///
/// ```
/// use fmrai_torch::model::{LoadContext, Model, ModelError};
///
/// /// What a plan says of such a model.
/// #[derive(Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Echo {}
///
/// fn load(source: &Echo, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
/// #   let _ = (source, context);
///     Err(ModelError::Config { what: "an echo has no weights".to_owned() })
/// }
///
/// fmrai_torch::register_model_source!(Echo, name: "echo", summary: "gives back what it gets", load: load);
///
/// let sources = fmrai_torch::model::model_sources()?;
/// assert!(sources.iter().any(|source| source.name == Echo::NAME));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! register_model_source {
    ($source:ty, name: $name:tt, summary: $summary:literal, load: $load:expr $(,)?) => {
        impl $source {
            /// The `type` in a plan.
            pub const NAME: &'static str = $name;
        }
        const _: () = {
            use $crate::__private::typetag;
            #[typetag::serde(name = $name)]
            impl $crate::model::ModelSource for $source {
                fn load(
                    &self,
                    context: &$crate::model::LoadContext<'_>,
                ) -> ::core::result::Result<
                    ::std::boxed::Box<dyn $crate::model::Model>,
                    $crate::model::ModelError,
                > {
                    ($load)(self, context)
                }
            }
            $crate::__private::inventory::submit! {
                $crate::model::ModelSourceEntry($crate::SourceEntry {
                    name: $name,
                    summary: $summary,
                    schema: $crate::__private::schema_of::<$source>,
                    origin: ::core::concat!(
                        ::core::env!("CARGO_PKG_NAME"), " ", ::core::env!("CARGO_PKG_VERSION")
                    ),
                })
            }
        };
    };
}
