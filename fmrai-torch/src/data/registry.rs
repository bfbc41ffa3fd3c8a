//! The data sources of a program.

use fmrai_core::registry::{self, Entry, Registered};

/// A data source that is linked in; made by [`register_data_source!`](crate::register_data_source).
#[derive(Debug, Clone, Copy)]
pub struct DataSourceEntry(pub Entry);

impl Registered for DataSourceEntry {
    const PLURAL: &'static str = "data sources";

    fn about(&self) -> &Entry {
        &self.0
    }
}

inventory::collect!(DataSourceEntry);

/// Data sources by name, sorted.
pub type DataSources = registry::Registry<DataSourceEntry>;

/// Registers a data source, so that every host that links the crate offers it, and plans can name it.
///
/// The config type is a [`DataSource`](crate::data::DataSource), and needs `serde`'s traits and `schemars::JsonSchema`. Expands to
/// one [`register!`](fmrai_core::register).
#[macro_export]
macro_rules! register_data_source {
    ($config:ty, name: $name:literal, summary: $summary:literal $(,)?) => {
        $crate::__private::register!(
            $config as $crate::data::RegisteredDataSource,
            $crate::data::DataSourceEntry,
            name: $name,
            summary: $summary
        );
    };
}
