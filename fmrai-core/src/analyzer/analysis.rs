//! What observing and driving methods have in common.

use super::error::AnalyzerError;
use super::state::State;
use crate::report::{Report, Store};

/// What a method has absorbed of the data, and the conclusions: three required methods.
///
/// At any time after its `prepare`, the host may call `state`, or `merge` what another one of the same config has seen.
///
/// **The merge law**: absorbing two parts of the data separately and merging gives what one pass over both gives, whichever part
/// is merged into which and however the data are batched (up to rounding in `f64`).
pub trait Analysis: Send {
    /// Everything absorbed so far, as a value that can be stored and merged.
    ///
    /// # Errors
    /// Any [`AnalyzerError`].
    fn state(&self) -> Result<State, AnalyzerError>;

    /// Absorbs what another one of the same config and model has seen. Merging into a freshly prepared one restores the state.
    ///
    /// # Errors
    /// [`AnalyzerError::State`] if the state is of another method, version or model.
    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError>;

    /// Draws the conclusions.
    ///
    /// # Errors
    /// [`AnalyzerError::NotEnoughData`] if too little was absorbed for any answer.
    fn analyze(&self) -> Result<Report, AnalyzerError>;

    /// What people can query already: relations of what was absorbed so far, without what only the end can tell. The host
    /// writes them at checkpoints, so that also a run that is killed leaves them. `None` where there is nothing to query.
    ///
    /// # Errors
    /// Any [`AnalyzerError`].
    fn interim(&self) -> Result<Option<Store>, AnalyzerError> {
        Ok(None)
    }

    /// Bytes of memory that it may take beyond what it holds now, about: for what it still collects, where that has a bound, and for its
    /// conclusions. A run with a limit of memory leaves that much free. 0 where it is not worth telling.
    fn bytes_ahead(&self) -> u64 {
        0
    }
}

const _: Option<&dyn Analysis> = None; // stays object-safe
