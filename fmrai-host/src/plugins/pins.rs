//! The hashes that a plan names.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The hashes that a plan names.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Pins {
    /// That of the plugin's file; no other file is loaded then.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Those of libraries beside it, by their places from its folder; where the plugin has one, each needs one.
    #[serde(default)]
    pub libraries: BTreeMap<String, String>,
}
