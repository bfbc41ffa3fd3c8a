//! What becomes of a run when something in the data, or a batch, cannot be used.

use serde::{Deserialize, Serialize};

/// What becomes of a run when a record of the data is refused, the model fails on a batch, or an analysis refuses one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The run ends, or the analysis.
    #[default]
    Stop,
    /// It is left out, counted and listed.
    Skip,
}
