//! What a clean pass made, which edited passes are served from.

use std::ptr::NonNull;

use super::session::{RawSession, Session};
use crate::error::TorchError;

#[repr(C)]
pub(super) struct RawClean {
    _opaque: [u8; 0],
}

// Declared as in `shim/api.h`.
unsafe extern "C" {
    fn fmrai_clean_new(limit: u64) -> *mut RawClean;
    fn fmrai_clean_free(clean: *mut RawClean);
    fn fmrai_clean_bytes(clean: *const RawClean) -> u64;
    fn fmrai_clean_served(clean: *const RawClean) -> u64;
    fn fmrai_session_fill(session: *mut RawSession, clean: *const RawClean);
    fn fmrai_session_serve(session: *mut RawSession, clean: *const RawClean);
}

/// What a pass has made, operation by operation, so that later passes of the same graph on the same inputs need not make again what
/// nothing that acts on them can have changed. Several passes may be served from it, one after the other; what they change is not in it.
pub struct CleanPass {
    raw: NonNull<RawClean>,
}

impl CleanPass {
    /// For the first part of what a pass makes, of about this many bytes.
    ///
    /// # Errors
    /// [`TorchError`] when out of memory.
    pub fn new(limit: u64) -> Result<Self, TorchError> {
        // SAFETY: takes a number; null when out of memory.
        let raw = unsafe { fmrai_clean_new(limit) };
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| TorchError::new("out of memory"))
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        // SAFETY: it is live.
        unsafe { fmrai_clean_bytes(self.raw.as_ptr()) }
    }

    /// Operations that were answered from it so far.
    #[must_use]
    pub fn served(&self) -> u64 {
        // SAFETY: it is live.
        unsafe { fmrai_clean_served(self.raw.as_ptr()) }
    }
}

impl Session {
    /// Makes the session, which has not begun, add what its pass makes.
    pub(crate) fn fill(&mut self, clean: &CleanPass) {
        // SAFETY: both are live; the session keeps a reference of its own to what is filled.
        unsafe { fmrai_session_fill(self.raw.as_ptr(), clean.raw.as_ptr()) }
    }

    /// Makes the session, which has not begun, be served with what a clean pass of the same graph and inputs has made.
    pub(crate) fn serve(&mut self, clean: &CleanPass) {
        // SAFETY: as above.
        unsafe { fmrai_session_serve(self.raw.as_ptr(), clean.raw.as_ptr()) }
    }
}

impl Drop for CleanPass {
    fn drop(&mut self) {
        // SAFETY: made by `fmrai_clean_new`, given up once.
        unsafe { fmrai_clean_free(self.raw.as_ptr()) }
    }
}
