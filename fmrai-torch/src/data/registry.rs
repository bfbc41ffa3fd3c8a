//! The data sources of a program.

use crate::registration::{DuplicateSource, SourceEntry, sorted};

/// A data source that is linked in; made by [`register_data_source!`](crate::register_data_source).
#[derive(Debug, Clone, Copy)]
pub struct DataSourceEntry(pub SourceEntry);

inventory::collect!(DataSourceEntry);

/// All data sources linked into this program, sorted by name.
///
/// # Errors
/// [`DuplicateSource`] names both origins of a name that is taken twice.
pub fn data_sources() -> Result<Vec<SourceEntry>, DuplicateSource> {
    sorted("data", inventory::iter::<DataSourceEntry>.into_iter().map(|entry| &entry.0))
}

/// Makes a config type a data source that plans can name, in every program that links the crate.
///
/// `open` is a function of the config and a [`DataContext`](crate::data::DataContext). The type needs serde's traits, `Debug` and
/// `schemars::JsonSchema`. It gets a constant `NAME`, and is a [`DataSource`](crate::data::DataSource).
#[macro_export]
macro_rules! register_data_source {
    ($source:ty, name: $name:tt, summary: $summary:literal, open: $open:expr $(,)?) => {
        impl $source {
            /// The `type` in a plan.
            pub const NAME: &'static str = $name;
        }
        const _: () = {
            use $crate::__private::typetag;
            #[typetag::serde(name = $name)]
            impl $crate::data::DataSource for $source {
                fn open<'a>(
                    &self,
                    context: &$crate::data::DataContext<'a>,
                ) -> ::core::result::Result<
                    ::std::boxed::Box<dyn $crate::data::Batches + 'a>,
                    $crate::data::DataError,
                > {
                    ($open)(self, context)
                }
            }
            $crate::__private::inventory::submit! {
                $crate::data::DataSourceEntry($crate::SourceEntry {
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
