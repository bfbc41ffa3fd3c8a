//! The boundary to the C++ shim in `ffi/`: safe functions around its calls.
#![expect(unsafe_code, reason = "calls into C++; every block says why it is sound")]

pub(crate) mod autocast;
pub(crate) mod call;
pub(crate) mod script;
pub(crate) mod undo;

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use tch::Tensor;
use torch_sys::C_tensor;

use crate::tensor::DataView;

#[repr(C)]
pub(crate) struct RawSession {
    _opaque: [u8; 0],
}

type Sink = extern "C" fn(*mut c_void, *const u8, usize);

// Declared as in `ffi/api.h`. `C_tensor` is torch-sys's name for `at::Tensor`.
unsafe extern "C" {
    fn fmrai_register() -> *mut c_char;
    fn fmrai_text_free(text: *mut c_char);
    fn fmrai_session_new() -> *mut RawSession;
    fn fmrai_session_free(session: *mut RawSession);
    fn fmrai_session_name(
        session: *mut RawSession,
        tensor: *const C_tensor,
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
        tensor: *mut *mut C_tensor,
    ) -> *mut c_char;
    fn fmrai_tensor_plain(tensor: *mut C_tensor, plain: *mut *mut C_tensor) -> *mut c_char;
    fn fmrai_scope_push(name: *const u8, length: usize) -> usize;
    fn fmrai_scope_truncate(depth: usize);
    fn fmrai_keep_freed_pages();
}

/// The message of a failed call, which the shim allocated.
fn checked(message: *mut c_char) -> Result<(), String> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: a message that is not null is NUL-terminated text that the shim allocated for us.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
    // SAFETY: it is given back once, and not used after.
    unsafe { fmrai_text_free(message) };
    Err(text)
}

/// Installs the hook in libtorch's dispatcher; does nothing the second time.
pub(super) fn register() -> Result<(), String> {
    // SAFETY: takes nothing; registers once, guarded by a C++ static.
    checked(unsafe { fmrai_register() })
}

/// What a named leaf of the graph is; the codes of `Session::Leaf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Leaf {
    /// Given for one batch.
    Input = 1,
    /// A weight or buffer.
    Parameter = 2,
}

/// A session of the shim: one watched forward pass.
pub(crate) struct Session {
    raw: NonNull<RawSession>,
}

impl Session {
    pub(super) fn new() -> Result<Self, String> {
        // SAFETY: takes nothing; null when out of memory.
        let raw = unsafe { fmrai_session_new() };
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| "out of memory".to_owned())
    }

    /// Names a tensor; the session holds it until the pass has ended.
    pub(super) fn name(&mut self, tensor: &Tensor, kind: Leaf, name: &str) -> Result<(), String> {
        let (session, tensor) = (self.raw.as_ptr(), tensor.as_ptr());
        // SAFETY: session and tensor are live; the name is copied during the call.
        checked(unsafe { fmrai_session_name(session, tensor, kind as u8, name.as_ptr(), name.len()) })
    }

    /// Makes the session compare with recorded operations and keep tensors, instead of recording.
    ///
    /// `hashes`, `results` and `explicit_attention` have one entry per operation, `wanted` one per tensor.
    pub(super) fn expect(
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
    pub(super) fn watch(&mut self) -> Result<Watch<'_>, String> {
        // SAFETY: the session is live, and stays so and in place until the guard ends it: the guard borrows it.
        checked(unsafe { fmrai_session_begin(self.raw.as_ptr()) })?;
        Ok(Watch { session: self, thread: PhantomData })
    }

    /// The recorded graph, encoded; see `decode`.
    pub(super) fn recording(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let context = std::ptr::from_mut(&mut bytes).cast();
        // SAFETY: the session is live; `append` gets the vector it expects, which outlives the call.
        checked(unsafe { fmrai_session_recording(self.raw.as_ptr(), append, context) })?;
        Ok(bytes)
    }

    /// How the pass differed from what was expected, encoded; see `decode`.
    pub(super) fn divergence(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let context = std::ptr::from_mut(&mut bytes).cast();
        // SAFETY: the session is live; `append` gets the vector it expects, which outlives the call.
        checked(unsafe { fmrai_session_divergence(self.raw.as_ptr(), append, context) })?;
        Ok(bytes)
    }

    /// How many operations of the pass ran on other threads, and the name of the first one.
    pub(super) fn elsewhere(&self) -> Result<(u64, String), String> {
        let (mut count, mut name) = (0, Vec::<u8>::new());
        let context = std::ptr::from_mut(&mut name).cast();
        // SAFETY: the session is live, `count` is valid for a write; `append` gets the vector it expects, which outlives
        // the call.
        checked(unsafe { fmrai_session_elsewhere(self.raw.as_ptr(), &raw mut count, append, context) })?;
        Ok((count, String::from_utf8_lossy(&name).into_owned()))
    }

    /// Takes the kept tensors out: id, and `None` where it was overwritten unseen.
    pub(super) fn take(&mut self) -> Result<Vec<(u32, Option<Tensor>)>, String> {
        let session = self.raw.as_ptr();
        // SAFETY: the session is live.
        let count = unsafe { fmrai_session_kept(session) };
        let mut taken = Vec::with_capacity(count);
        for index in 0..count {
            let (mut id, mut tensor) = (0, std::ptr::null_mut());
            // SAFETY: the session is live, the out-pointers are valid for writes; the index is checked by the shim.
            checked(unsafe { fmrai_session_take(session, index, &raw mut id, &raw mut tensor) })?;
            // SAFETY: a tensor that is not null is new and ours.
            taken.push((id, (!tensor.is_null()).then(|| unsafe { Tensor::from_ptr(tensor) })));
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
pub(super) struct Watch<'a> {
    session: &'a mut Session,
    // The hook is switched on for one thread: the guard must not leave it.
    thread: PhantomData<*const ()>,
}

impl Watch<'_> {
    /// Ends the pass, and says if that failed.
    pub(super) fn end(self) -> Result<(), String> {
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

extern "C" fn append(context: *mut c_void, bytes: *const u8, length: usize) {
    // SAFETY: the context is the vector that the caller of the shim passed, borrowed by nobody else now.
    let into = unsafe { &mut *context.cast::<Vec<u8>>() };
    if length > 0 {
        // SAFETY: the shim passes `length` readable bytes for the duration of this call.
        into.extend_from_slice(unsafe { std::slice::from_raw_parts(bytes, length) });
    }
}

/// A dense CPU tensor of a plain type whose memory nobody else can reach.
pub(super) struct PlainTensor {
    tensor: Tensor,
}

impl PlainTensor {
    /// The tensor's elements as such memory; not copied if it is that already.
    pub(super) fn new(tensor: Tensor) -> Result<Self, String> {
        let raw = tensor.as_ptr().cast_mut();
        std::mem::forget(tensor);
        let mut plain = std::ptr::null_mut();
        // SAFETY: `raw` is live and handed over, its Rust owner is forgotten; `plain` is valid for a write.
        checked(unsafe { fmrai_tensor_plain(raw, &raw mut plain) })?;
        // SAFETY: on success `plain` is a live tensor that is ours.
        Ok(Self { tensor: unsafe { Tensor::from_ptr(plain) } })
    }

    /// Its sizes, outermost axis first.
    pub(super) fn shape(&self) -> Vec<usize> {
        self.tensor.size().into_iter().map(|d| usize::try_from(d).unwrap_or(0)).collect()
    }

    /// Its elements; `None` if they have no plain form.
    pub(super) fn data(&self) -> Option<DataView<'_>> {
        Some(match self.tensor.f_kind().ok()? {
            tch::Kind::Float => DataView::F32(self.elements()),
            tch::Kind::Double => DataView::F64(self.elements()),
            tch::Kind::Int64 => DataView::I64(self.elements()),
            tch::Kind::Int => DataView::I32(self.elements()),
            tch::Kind::Bool | tch::Kind::Uint8 => DataView::U8(self.elements()),
            _ => return None,
        })
    }

    fn elements<T: Element>(&self) -> &[T] {
        debug_assert!(self.tensor.f_kind().is_ok_and(|kind| T::KINDS.contains(&kind)));
        let (count, start) = (self.tensor.numel(), self.tensor.data_ptr().cast::<T>());
        if count == 0 || start.is_null() {
            return &[];
        }
        // SAFETY: `fmrai_tensor_plain` made the tensor dense CPU memory of `count` elements of the kind that the
        // caller matched, with sole ownership of the storage; it lives as long as `self`, and nothing writes to it.
        unsafe { std::slice::from_raw_parts(start, count) }
    }
}

/// Element types with the same layout in Rust and libtorch.
trait Element {
    const KINDS: &[tch::Kind];
}
impl Element for f32 {
    const KINDS: &[tch::Kind] = &[tch::Kind::Float];
}
impl Element for f64 {
    const KINDS: &[tch::Kind] = &[tch::Kind::Double];
}
impl Element for i64 {
    const KINDS: &[tch::Kind] = &[tch::Kind::Int64];
}
impl Element for i32 {
    const KINDS: &[tch::Kind] = &[tch::Kind::Int];
}
impl Element for u8 {
    const KINDS: &[tch::Kind] = &[tch::Kind::Uint8, tch::Kind::Bool];
}

pub(super) fn push_scope(name: &str) -> usize {
    // SAFETY: the name is copied during the call.
    unsafe { fmrai_scope_push(name.as_ptr(), name.len()) }
}

pub(super) fn truncate_scopes(depth: usize) {
    // SAFETY: takes a number; any value is fine.
    unsafe { fmrai_scope_truncate(depth) }
}

/// Makes the allocator of this process keep freed memory for the next use instead of returning it to the system.
///
/// Activations are large blocks that come and go with every batch; giving them back costs page faults each time.
/// For programs; a library should leave the choice to its user. Does nothing where the C library is not glibc.
pub fn keep_freed_pages() {
    // SAFETY: takes nothing; sets two thresholds of the allocator, which it may do at any time.
    unsafe { fmrai_keep_freed_pages() }
}
