//! What all requests share.

use super::documents::Documents;
use super::runs::Runs;
use super::texts::Texts;

/// What all requests share.
pub(super) struct Shared {
    pub(super) runs: Runs,
    pub(super) texts: Texts,
    pub(super) documents: Documents,
}
