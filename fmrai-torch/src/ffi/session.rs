//! Sessions of the hook: watching one forward pass.

use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::message::{Sink, append, checked};
use super::tensor::{RawTensor, Tensor};

#[repr(C)]
pub(super) struct RawSession {
    _opaque: [u8; 0],
}

// Declared as in `shim/api.h`.
unsafe extern "C" {
    fn fmrai_register() -> *mut c_char;
    fn fmrai_session_new() -> *mut RawSession;
    fn fmrai_session_free(session: *mut RawSession);
    fn fmrai_session_name(
        session: *mut RawSession,
        tensor: *const RawTensor,
        kind: u8,
        name: *const u8,
        length: usize,
    ) -> *mut c_char;
    fn fmrai_session_expect(
        session: *mut RawSession,
        hashes: *const u64,
        results: *const u32,
        explicit_attention: *const u8,
        operations: usize,
        wanted: *const u8,
        tensors: usize,
    ) -> *mut c_char;
    fn fmrai_session_begin(session: *mut RawSession) -> *mut c_char;
    fn fmrai_session_end(session: *mut RawSession) -> *mut c_char;
    fn fmrai_session_recording(session: *const RawSession, sink: Sink, context: *mut c_void) -> *mut c_char;
    fn fmrai_session_divergence(session: *const RawSession, sink: Sink, context: *mut c_void) -> *mut c_char;
    fn fmrai_session_elsewhere(
        session: *const RawSession,
        count: *mut u64,
        sink: Sink,
        context: *mut c_void,
    ) -> *mut c_char;
    fn fmrai_session_kept(session: *const RawSession) -> usize;
    fn fmrai_session_take(
        session: *mut RawSession,
        index: usize,
        id: *mut u32,
        tensor: *mut *mut RawTensor,
    ) -> *mut c_char;
}

/// Installs the hook in libtorch's dispatcher; does nothing the second time.
pub(crate) fn register() -> Result<(), String> {
    // SAFETY: takes nothing; registers once, guarded by a C++ static.
    checked(unsafe { fmrai_register() })
}

/// What a named leaf of the graph is; the codes of `Session::Leaf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Leaf {
    /// Given for one batch.
    Input = 1,
    /// A weight or buffer.
    Parameter = 2,
}

/// A session of the shim: one watched forward pass.
pub(crate) struct Session {
    pub(super) raw: NonNull<RawSession>,
}

impl Session {
    pub(crate) fn new() -> Result<Self, String> {
        // SAFETY: takes nothing; null when out of memory.
        let raw = unsafe { fmrai_session_new() };
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| "out of memory".to_owned())
    }

    /// Names a tensor; the session holds it until the pass has ended.
    pub(crate) fn name(&mut self, tensor: &Tensor, kind: Leaf, name: &str) -> Result<(), String> {
        let (session, tensor) = (self.raw.as_ptr(), tensor.as_raw());
        // SAFETY: session and tensor are live; the name is copied during the call.
        checked(unsafe { fmrai_session_name(session, tensor, kind as u8, name.as_ptr(), name.len()) })
    }

    /// Makes the session compare with recorded operations and keep tensors, instead of recording.
    ///
    /// `hashes`, `results` and `explicit_attention` have one entry per operation, `wanted` one per tensor.
    pub(crate) fn expect(
        &mut self,
        hashes: &[u64],
        results: &[u32],
        explicit_attention: &[u8],
        wanted: &[u8],
    ) -> Result<(), String> {
        if hashes.len() != explicit_attention.len() || hashes.len() != results.len() {
            return Err("one hash, one count and one flag per operation are needed".to_owned());
        }
        // SAFETY: the session is live; the slices are copied during the call, with the lengths given.
        checked(unsafe {
            fmrai_session_expect(
                self.raw.as_ptr(),
                hashes.as_ptr(),
                results.as_ptr(),
                explicit_attention.as_ptr(),
                hashes.len(),
                wanted.as_ptr(),
                wanted.len(),
            )
        })
    }

    /// Watches the operations of this thread until the returned guard is dropped.
    pub(crate) fn watch(&mut self) -> Result<Watch<'_>, String> {
        // SAFETY: the session is live, and stays so and in place until the guard ends it: the guard borrows it.
        checked(unsafe { fmrai_session_begin(self.raw.as_ptr()) })?;
        Ok(Watch { session: self, thread: PhantomData })
    }

    /// The recorded graph, encoded; see `decode`.
    pub(crate) fn recording(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let context = std::ptr::from_mut(&mut bytes).cast();
        // SAFETY: the session is live; `append` gets the vector it expects, which outlives the call.
        checked(unsafe { fmrai_session_recording(self.raw.as_ptr(), append, context) })?;
        Ok(bytes)
    }

    /// How the pass differed from what was expected, encoded; see `decode`.
    pub(crate) fn divergence(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let context = std::ptr::from_mut(&mut bytes).cast();
        // SAFETY: the session is live; `append` gets the vector it expects, which outlives the call.
        checked(unsafe { fmrai_session_divergence(self.raw.as_ptr(), append, context) })?;
        Ok(bytes)
    }

    /// How many operations of the pass ran on other threads, and the name of the first one.
    pub(crate) fn elsewhere(&self) -> Result<(u64, String), String> {
        let (mut count, mut name) = (0, Vec::<u8>::new());
        let context = std::ptr::from_mut(&mut name).cast();
        // SAFETY: the session is live, `count` is valid for a write; `append` gets the vector it expects, which outlives
        // the call.
        checked(unsafe { fmrai_session_elsewhere(self.raw.as_ptr(), &raw mut count, append, context) })?;
        Ok((count, String::from_utf8_lossy(&name).into_owned()))
    }

    /// Takes the kept tensors out: id, and `None` where it was overwritten unseen.
    pub(crate) fn take(&mut self) -> Result<Vec<(u32, Option<Tensor>)>, String> {
        let session = self.raw.as_ptr();
        // SAFETY: the session is live.
        let count = unsafe { fmrai_session_kept(session) };
        let mut taken = Vec::with_capacity(count);
        for index in 0..count {
            let (mut id, mut tensor) = (0, std::ptr::null_mut());
            // SAFETY: the session is live, the out-pointers are valid for writes; the index is checked by the shim.
            checked(unsafe { fmrai_session_take(session, index, &raw mut id, &raw mut tensor) })?;
            // SAFETY: a tensor that is not null is new and ours.
            taken.push((id, unsafe { Tensor::from_raw(tensor) }));
        }
        Ok(taken)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: made by `fmrai_session_new`, freed once; no guard borrows it any more.
        unsafe { fmrai_session_free(self.raw.as_ptr()) }
    }
}

/// Watches this thread; ends when dropped, also while unwinding.
pub(crate) struct Watch<'a> {
    session: &'a mut Session,
    // The hook is switched on for one thread: the guard must not leave it.
    thread: PhantomData<*const ()>,
}

impl Watch<'_> {
    /// Ends the pass, and says if that failed.
    pub(crate) fn end(self) -> Result<(), String> {
        let raw = self.session.raw.as_ptr();
        std::mem::forget(self);
        // SAFETY: the session is live and was begun on this thread; it is ended once, since the guard is forgotten.
        checked(unsafe { fmrai_session_end(raw) })
    }
}

impl Drop for Watch<'_> {
    // Only while a panic unwinds: nobody would hear of an error.
    fn drop(&mut self) {
        // SAFETY: the session is live and was begun on this thread.
        if let Err(message) = checked(unsafe { fmrai_session_end(self.session.raw.as_ptr()) }) {
            tracing::error!(%message, "a capture session could not be ended");
        }
    }
}
