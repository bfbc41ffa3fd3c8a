//! Versions of what computes the results.

use serde::{Deserialize, Serialize};

/// The versions that results depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// This program.
    pub fmrai: String,
    /// libtorch, as it was when the program was built.
    pub libtorch: String,
}

impl Versions {
    /// Those of this program.
    #[must_use]
    pub fn current() -> Self {
        Self {
            fmrai: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: env!("FMRAI_LIBTORCH_VERSION").to_owned(),
        }
    }
}
