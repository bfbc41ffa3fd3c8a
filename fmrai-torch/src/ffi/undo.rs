//! What a pass changes of what was there before it.

use std::ffi::c_char;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::message::checked;
use super::session::register;
use super::tensor::{RawTensor, Tensor};

#[repr(C)]
struct RawUndo {
    _opaque: [u8; 0],
}

// Declared as in `shim/api.h`.
unsafe extern "C" {
    fn fmrai_undo_new(undo: *mut *mut RawUndo) -> *mut c_char;
    fn fmrai_undo_free(undo: *mut RawUndo);
    fn fmrai_undo_begin(undo: *mut RawUndo) -> *mut c_char;
    fn fmrai_undo_end(undo: *mut RawUndo) -> *mut c_char;
    fn fmrai_undo_exchange(undo: *mut RawUndo) -> *mut c_char;
    fn fmrai_undo_wrote(undo: *const RawUndo, tensor: *const RawTensor) -> bool;
    fn fmrai_undo_lasts(
        undo: *const RawUndo,
        except: *const *const RawTensor,
        count: usize,
        lasts: *mut bool,
    ) -> *mut c_char;
}

/// What one pass wrote into memory that it had not made itself, and which random numbers it drew.
pub(crate) struct Undo {
    raw: NonNull<RawUndo>,
    // The pass that is watched belongs to one thread.
    thread: PhantomData<*const ()>,
}

/// Watches this thread; ends when dropped, also while unwinding.
struct Watch<'a>(&'a Undo);

impl Undo {
    /// Runs `pass` on this thread and remembers what it changes.
    pub(crate) fn of<T>(pass: impl FnOnce() -> T) -> Result<(T, Self), String> {
        register()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is valid for a write.
        checked(unsafe { fmrai_undo_new(&raw mut raw) })?;
        let raw = NonNull::new(raw).ok_or_else(|| "out of memory".to_owned())?;
        let undo = Self { raw, thread: PhantomData };
        // SAFETY: it is live, and stays so and in place until the guard ends it: the guard borrows it.
        checked(unsafe { fmrai_undo_begin(undo.raw.as_ptr()) })?;
        let watch = Watch(&undo);
        let out = pass();
        watch.end()?;
        Ok((out, undo))
    }

    /// Exchanges what there is now with what was there before the pass; the second time, with what the pass had left.
    pub(crate) fn exchange(&mut self) -> Result<(), String> {
        // SAFETY: it is live, and watches no more: nothing borrows it.
        checked(unsafe { fmrai_undo_exchange(self.raw.as_ptr()) })
    }

    /// True if the pass wrote memory of this tensor.
    pub(crate) fn wrote(&self, tensor: &Tensor) -> bool {
        // SAFETY: both are live.
        unsafe { fmrai_undo_wrote(self.raw.as_ptr(), tensor.as_raw()) }
    }

    /// True if anything but memory of these tensors is another than before the pass.
    pub(crate) fn lasts(&self, except: &[&Tensor]) -> Result<bool, String> {
        let except: Vec<*const RawTensor> = except.iter().map(|tensor| tensor.as_raw()).collect();
        let mut lasts = false;
        // SAFETY: all are live, `lasts` is valid for a write.
        checked(unsafe {
            fmrai_undo_lasts(self.raw.as_ptr(), except.as_ptr(), except.len(), &raw mut lasts)
        })?;
        Ok(lasts)
    }
}

impl Watch<'_> {
    fn end(self) -> Result<(), String> {
        let raw = self.0.raw.as_ptr();
        std::mem::forget(self);
        // SAFETY: it is live and was begun on this thread; it is ended once, since the guard is forgotten.
        checked(unsafe { fmrai_undo_end(raw) })
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // SAFETY: it is live and was begun on this thread.
        if let Err(message) = checked(unsafe { fmrai_undo_end(self.0.raw.as_ptr()) }) {
            tracing::error!(%message, "what a failed pass has written cannot be told");
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        // SAFETY: made by `fmrai_undo_new`, freed once; it watches no more.
        unsafe { fmrai_undo_free(self.raw.as_ptr()) }
    }
}
