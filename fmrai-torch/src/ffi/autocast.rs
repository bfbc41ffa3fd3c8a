//! Automatic choice of the element type.

use std::ffi::c_char;
use std::marker::PhantomData;

use super::message::checked;

#[repr(C)]
#[derive(Default)]
struct State {
    device: i32,
    dtype: i32,
    enabled: bool,
}

// Declared as in `shim/program_api.h`.
unsafe extern "C" {
    fn fmrai_autocast_enter(
        device: *const u8,
        length: usize,
        dtype: i32,
        enabled: bool,
        before: *mut State,
    ) -> *mut c_char;
    fn fmrai_autocast_leave(before: *const State) -> *mut c_char;
}

/// Autocast for a kind of device (`cpu`, `cuda`) on this thread; as before when dropped.
pub(crate) struct Autocast {
    before: State,
    // The setting belongs to its thread.
    thread: PhantomData<*const ()>,
}

impl Autocast {
    /// `dtype` is a code of `c10::ScalarType`; the device's default where absent.
    pub(crate) fn new(device: &str, dtype: Option<i32>, enabled: bool) -> Result<Self, String> {
        let mut before = State::default();
        // SAFETY: the name is read during the call; `before` is valid for a write.
        checked(unsafe {
            fmrai_autocast_enter(device.as_ptr(), device.len(), dtype.unwrap_or(-1), enabled, &raw mut before)
        })?;
        Ok(Self { before, thread: PhantomData })
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // SAFETY: the state is the one that was there when this was made, on the same thread.
        if let Err(message) = checked(unsafe { fmrai_autocast_leave(&raw const self.before) }) {
            tracing::error!(%message, "autocast could not be left");
        }
    }
}
