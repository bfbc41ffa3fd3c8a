//! How a bench works.

use serde::{Deserialize, Serialize};

/// How a bench works. None of it changes results by more than rounding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchSettings {
    /// Whether operations that no edit can have changed are answered from the clean pass.
    pub reuse: bool,
    /// Whether variants run together as rows of a batch.
    pub pack: bool,
    /// Whether a pass ends after the last tensor that somebody wants.
    pub end_early: bool,
    /// Bytes that a clean pass may hold for reuse, about.
    pub memory: u64,
    /// Bytes that the record of a pass for gradients may hold, about: rows beyond that are differentiated in passes of their own, at least one
    /// at a time.
    pub gradient_memory: u64,
    /// Positions of all rows together up to which variants are packed: beyond that, a processor gains nothing.
    pub packed_positions: usize,
}

impl Default for BenchSettings {
    fn default() -> Self {
        Self {
            reuse: true,
            pack: true,
            end_early: true,
            memory: 2 << 30,
            gradient_memory: 4 << 30,
            packed_positions: 256,
        }
    }
}

impl BenchSettings {
    /// Every variant by itself, every operation of it: what the others are compared with.
    #[must_use]
    pub fn plain() -> Self {
        Self { reuse: false, pack: false, end_early: false, ..Self::default() }
    }
}
