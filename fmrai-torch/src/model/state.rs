//! What a pass may change of a model.

use super::error::ModelError;

/// What a pass may change of a model other than by writing into memory, as it was at one moment.
pub trait ModelState {
    /// Makes the model as it was; may be called again.
    ///
    /// # Errors
    /// [`ModelError`] with what libtorch reports.
    fn put_back(&self) -> Result<(), ModelError>;

    /// True if the model is still as it was.
    ///
    /// # Errors
    /// [`ModelError`] with what libtorch reports.
    fn is_current(&self) -> Result<bool, ModelError>;
}

const _: Option<&dyn ModelState> = None; // stays object-safe

/// The state of a model that changes nothing but memory.
pub(crate) struct NoState;

impl ModelState for NoState {
    fn put_back(&self) -> Result<(), ModelError> {
        Ok(())
    }

    fn is_current(&self) -> Result<bool, ModelError> {
        Ok(true)
    }
}
