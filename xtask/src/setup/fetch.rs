//! How a wheel's file comes here. Behind a trait, so that the tests need no network.

use std::path::Path;

use super::error::SetupError;
use super::wheel::Wheel;

/// A way to get wheels.
pub(crate) trait Fetch {
    /// Puts `wheel.file` into the folder `scratch`, and writes nowhere else. The caller checks the hash and removes the
    /// folder.
    fn fetch(&self, wheel: &Wheel, scratch: &Path) -> Result<(), SetupError>;
}
