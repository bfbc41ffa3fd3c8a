//! The samples of a batch.

use fmrai_core::batch::Sample;

/// The samples of a batch.
pub(super) struct Samples {
    /// Position in the run, from 0.
    pub(super) index: u64,
    pub(super) samples: Vec<Sample>,
}
