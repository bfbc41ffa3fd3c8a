//! When a plan asks for the comparison with the untouched model.

use serde::{Deserialize, Serialize};

/// Batches on which the untouched model runs as well, to compare its outputs with those of the watched one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// The first batch.
    #[default]
    First,
    /// Every batch; the model then runs twice as often.
    Every,
    /// None.
    Off,
}
