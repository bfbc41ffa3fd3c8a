//! What the host offers to every plugin.

use std::ffi::{CStr, c_char, c_void};

use super::guard::{Failure, guard};
use super::raw::{self, DLManagedTensorVersioned, ERR_INVALID, Sink, Status, Str};
use super::tensor;
use crate::tensor::TensorView;

unsafe extern "C" fn host_log(
    level: u32,
    target: *const c_char,
    target_len: usize,
    text: *const c_char,
    len: usize,
) {
    // SAFETY: the plugin's texts live during the call.
    let (target, text) =
        unsafe { (raw::slice(target.cast::<u8>(), target_len), raw::slice(text.cast::<u8>(), len)) };
    let (from, text) = (String::from_utf8_lossy(target), String::from_utf8_lossy(text));
    let run = || {
        match level {
            0 | 1 => tracing::error!(target: "plugin", %from, "{text}"),
            2 => tracing::warn!(target: "plugin", %from, "{text}"),
            3 => tracing::info!(target: "plugin", %from, "{text}"),
            _ => tracing::debug!(target: "plugin", %from, "{text}"),
        }
        Ok(())
    };
    // Whoever takes the events is the embedder's, and may panic.
    // SAFETY: there is no sink.
    unsafe { guard(std::ptr::null_mut(), run) };
}

unsafe extern "C" fn host_retain(
    handle: *const c_void,
    out: *mut *mut DLManagedTensorVersioned,
    err: *mut Sink,
) -> Status {
    if handle.is_null() || out.is_null() {
        return ERR_INVALID;
    }
    // SAFETY: handles are views that live during `track_batch`, which is the only time they may be used.
    let view = unsafe { &*handle.cast::<TensorView<'_>>() };
    let run = || {
        let tensor = tensor::retained(view).map_err(Failure::invalid)?;
        // SAFETY: not NULL, and the plugin's.
        unsafe { out.write(tensor) };
        Ok(())
    };
    // SAFETY: the plugin's sink lives during the call.
    unsafe { guard(err, run) }
}

pub(super) unsafe extern "C" fn host_extension(id: *const c_char) -> *const c_void {
    static RETAIN: raw::Retain = raw::Retain { retain: Some(host_retain) };
    // That there is something says that experiments are driven; what is there is nothing.
    static EXPERIMENT: u32 = 1;
    if id.is_null() {
        return std::ptr::null();
    }
    // SAFETY: not NULL; names of extensions end with NUL.
    match unsafe { CStr::from_ptr(id) }.to_bytes() {
        b"fmrai.retain/1" => std::ptr::from_ref(&RETAIN).cast(),
        b"fmrai.experiment/1" => std::ptr::from_ref(&EXPERIMENT).cast(),
        _ => std::ptr::null(),
    }
}

/// Handed to a plugin's `init`.
pub(super) static HOST: raw::Host = raw::Host {
    struct_size: raw::size::<raw::Host>(),
    abi_major: super::ABI_MAJOR,
    abi_minor: super::ABI_MINOR,
    reserved: 0,
    name: Str::of("fmrai"),
    version: Str::of(env!("CARGO_PKG_VERSION")),
    log: Some(host_log),
    get_extension: Some(host_extension),
};
