//! What a plan can name: model sources, data sources, analyzers.

use fmrai_core::analyzer::{AnalyzerEntry, DuplicateAnalyzer, Registry};
use fmrai_core::model::SourceEntry;
use fmrai_core::{data, model};
// The built-in analyzers register themselves, but only if their crate is linked.
use fmrai_plugins as _;

/// Everything a plan can name, each list sorted by name.
pub struct Catalogue {
    /// The model sources.
    pub models: Vec<SourceEntry>,
    /// The data sources.
    pub data: Vec<SourceEntry>,
    /// The analyzers.
    pub analyzers: Vec<&'static AnalyzerEntry>,
}

impl Catalogue {
    /// Everything linked into this program.
    ///
    /// # Errors
    /// [`DuplicateAnalyzer`] if two analyzers have one name.
    pub fn linked() -> Result<Self, DuplicateAnalyzer> {
        Ok(Self {
            models: model::SOURCES.to_vec(),
            data: data::SOURCES.to_vec(),
            analyzers: Registry::linked()?.iter().collect(),
        })
    }
}
