//! What the shim says: errors, and bytes that it hands out.

use std::ffi::{CStr, c_char, c_void};

// Declared as in `shim/api.h`.
unsafe extern "C" {
    fn fmrai_text_free(text: *mut c_char);
}

/// Takes bytes that are valid during its call.
pub(super) type Sink = extern "C" fn(*mut c_void, *const u8, usize);

/// The message of a failed call, which the shim allocated.
pub(super) fn checked(message: *mut c_char) -> Result<(), String> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: a message that is not null is NUL-terminated text that the shim allocated for us.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
    // SAFETY: it is given back once, and not used after.
    unsafe { fmrai_text_free(message) };
    Err(text)
}

/// A [`Sink`] whose context is a vector of bytes.
pub(super) extern "C" fn append(context: *mut c_void, bytes: *const u8, length: usize) {
    // SAFETY: the context is the vector that the caller of the shim passed, borrowed by nobody else now.
    let into = unsafe { &mut *context.cast::<Vec<u8>>() };
    if length > 0 {
        // SAFETY: the shim passes `length` readable bytes for the duration of this call.
        into.extend_from_slice(unsafe { std::slice::from_raw_parts(bytes, length) });
    }
}
