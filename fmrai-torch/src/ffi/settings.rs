//! Settings of libtorch: for this thread, and for the process.

use std::ffi::c_char;
use std::marker::PhantomData;

use super::message::checked;
use crate::error::TorchError;

// Declared as in `shim/tensor.h`.
unsafe extern "C" {
    fn fmrai_gradients(enabled: bool) -> bool;
    fn fmrai_threads(count: i32) -> *mut c_char;
    fn fmrai_seed(seed: u64) -> *mut c_char;
    fn fmrai_synchronize(cuda: i32) -> *mut c_char;
    fn fmrai_cuda_devices() -> u32;
    fn fmrai_integers_may_be_sizes(); // as the next, of `shim/api.h`
    fn fmrai_keep_freed_pages(); // of `shim/api.h`
}

/// Whether operations of this thread are recorded for gradients; as before when dropped.
#[derive(Debug)]
#[must_use = "the setting ends where this is dropped"]
pub struct Gradients {
    before: bool,
    // The setting belongs to its thread.
    thread: PhantomData<*const ()>,
}

impl Gradients {
    /// Switches them on or off.
    pub fn set(enabled: bool) -> Self {
        // SAFETY: takes a truth value, sets one of this thread.
        Self { before: unsafe { fmrai_gradients(enabled) }, thread: PhantomData }
    }
}

impl Drop for Gradients {
    fn drop(&mut self) {
        // SAFETY: as in `set`.
        unsafe { fmrai_gradients(self.before) };
    }
}

/// Switches gradients off on this thread, until what it returns is dropped.
pub fn no_grad() -> Gradients {
    Gradients::set(false)
}

/// For programs whose models are written in a language that computes with sizes itself, as Python does: integers among the numbers that
/// operations are given may be sizes, so passes that differ in these alone follow the same graph. A setting of the process, for its program alone.
pub fn integers_may_be_sizes() {
    // SAFETY: takes nothing, sets an atomic truth value.
    unsafe { fmrai_integers_may_be_sizes() }
}

/// How many threads libtorch gives to an operation: a setting of the process, for its program alone.
///
/// # Errors
/// [`TorchError`] for 0, or what libtorch reports.
pub fn set_threads(count: usize) -> Result<(), TorchError> {
    let count = i32::try_from(count).ok().filter(|count| *count > 0);
    let count = count.ok_or_else(|| TorchError::new("at least one thread is needed"))?;
    // SAFETY: takes a number, which the shim and libtorch check.
    checked(unsafe { fmrai_threads(count) }).map_err(TorchError::new)
}

/// Seeds the random numbers of libtorch, for all threads of the process.
///
/// # Errors
/// [`TorchError`] with what libtorch reports.
pub fn manual_seed(seed: u64) -> Result<(), TorchError> {
    // SAFETY: takes a number.
    checked(unsafe { fmrai_seed(seed) }).map_err(TorchError::new)
}

/// How many CUDA devices libtorch finds; 0 in a build of it without CUDA.
#[must_use]
pub fn cuda_devices() -> usize {
    // SAFETY: takes nothing, and catches what libtorch throws.
    unsafe { fmrai_cuda_devices() as usize }
}

/// Waits for all work on a CUDA device.
pub(crate) fn synchronize(cuda: usize) -> Result<(), TorchError> {
    let cuda = i32::try_from(cuda).map_err(|_| TorchError::new("there is no such device"))?;
    // SAFETY: takes a number, which libtorch checks.
    checked(unsafe { fmrai_synchronize(cuda) }).map_err(TorchError::new)
}

/// Makes the allocator of this process keep freed memory for the next use instead of returning it to the system.
///
/// Activations are large blocks that come and go with every batch; giving them back costs page faults each time.
/// For programs; a library should leave the choice to its user. Does nothing where the C library is not glibc.
pub fn keep_freed_pages() {
    // SAFETY: takes nothing; sets two thresholds of the allocator, which it may do at any time.
    unsafe { fmrai_keep_freed_pages() }
}

/// Gives the memory back to the system that is free in this process: what [`keep_freed_pages`] keeps for the next time, and what lies between
/// memory that is in use. Takes milliseconds, and what comes next has to ask for pages anew. Does nothing where the C library is not glibc.
pub fn give_back_freed_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: takes a number of bytes to leave at the end; touches free memory alone, and any thread may call it.
        let _ = unsafe { malloc_trim(0) };
    }
}
