//! Sessions of the hook: watching one forward pass.

use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::message::{Sink, append, checked};
use super::tensor::{RawTensor, Tensor};

#[repr(C)]
pub(super) struct RawSession {
    _opaque: [u8; 0],
}

type RawAct = extern "C" fn(*mut c_void, u8, u32, *const RawTensor, *mut *mut RawTensor) -> bool;

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
    fn fmrai_session_act(
        session: *mut RawSession,
        results: *const u8,
        tensors: usize,
        scores: *const u8,
        operations: usize,
        act: RawAct,
        context: *mut c_void,
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
    fn fmrai_session_id_of(session: *const RawSession, tensor: *const RawTensor, id: *mut u32)
    -> *mut c_char;
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

/// Where something acts, as the shim tells it: a result of an operation by its tensor's id, or scores by their operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acted {
    Result(u32),
    Scores(u32),
}

/// What acts on a pass: gives a tensor to go on with in place of the one it is shown, or none to leave it; `Err` ends the pass soon.
pub(crate) type Act = Box<dyn FnMut(Acted, &Tensor) -> Result<Option<Tensor>, ()>>;

/// A session of the shim: one watched forward pass.
pub(crate) struct Session {
    pub(super) raw: NonNull<RawSession>,
    watching: bool,
    act: Option<NonNull<Act>>,
    // The hook is switched on for one thread: what watches it must not leave it.
    thread: PhantomData<*const ()>,
}

impl Session {
    pub(crate) fn new() -> Result<Self, String> {
        // SAFETY: takes nothing; null when out of memory.
        let raw = unsafe { fmrai_session_new() };
        let raw = NonNull::new(raw).ok_or_else(|| "out of memory".to_owned())?;
        Ok(Self { raw, watching: false, act: None, thread: PhantomData })
    }

    /// Lets `act` act where the flags say so: one for each tensor, and one for the scores of each operation.
    pub(crate) fn act(&mut self, results: &[u8], scores: &[u8], act: Act) -> Result<(), String> {
        if self.watching || self.act.is_some() {
            return Err("what acts is said once, before the pass".to_owned());
        }
        let act = NonNull::from(Box::leak(Box::new(act)));
        self.act = Some(act);
        // SAFETY: the session is live; the flags are copied during the call. `act` is freed after the session, which alone calls it.
        checked(unsafe {
            fmrai_session_act(
                self.raw.as_ptr(),
                results.as_ptr(),
                results.len(),
                scores.as_ptr(),
                scores.len(),
                acted,
                act.as_ptr().cast(),
            )
        })
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

    /// Watches the operations of this thread until it is ended or dropped. Sessions of a thread nest, and end in any order.
    pub(crate) fn begin(&mut self) -> Result<(), String> {
        // SAFETY: the session is live and stays in place, which is the shim's; dropping it ends it first.
        checked(unsafe { fmrai_session_begin(self.raw.as_ptr()) })?;
        self.watching = true;
        Ok(())
    }

    /// Ends the pass, and says if that failed.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.watching) {
            return Ok(());
        }
        // SAFETY: the session is live and was begun on this thread, which it cannot leave; it is ended once.
        checked(unsafe { fmrai_session_end(self.raw.as_ptr()) })
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

    /// The id that a tensor has at this point of the pass; `None` for one that it does not know.
    pub(crate) fn id_of(&self, tensor: &Tensor) -> Result<Option<u32>, String> {
        let mut id = u32::MAX;
        // SAFETY: session and tensor are live, `id` is valid for a write.
        checked(unsafe { fmrai_session_id_of(self.raw.as_ptr(), tensor.as_raw(), &raw mut id) })?;
        Ok((id != u32::MAX).then_some(id))
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
        let ended = self.end();
        // SAFETY: made by `fmrai_session_new`, given up once. The shim ends it if it watches still, which it does from within what
        // acts on it: then it is freed when the operation that is acted on is over.
        unsafe { fmrai_session_free(self.raw.as_ptr()) }
        match (ended, self.act.take()) {
            // SAFETY: leaked by `act`, and given back once; the session that called it is gone.
            (Ok(()), Some(act)) => drop(unsafe { Box::from_raw(act.as_ptr()) }),
            (Ok(()), None) => {}
            // What acts may be running now: it is never freed.
            (Err(message), _) => tracing::error!(%message, "a capture session could not be ended"),
        }
    }
}

extern "C" fn acted(
    context: *mut c_void,
    part: u8,
    place: u32,
    value: *const RawTensor,
    other: *mut *mut RawTensor,
) -> bool {
    // SAFETY: the context is the function that `Session::act` passed, alive as long as its session, on the thread of the pass, which
    // calls it for one operation after the other.
    let act = unsafe { &mut *context.cast::<Act>() };
    // SAFETY: the shim passes a live tensor; the handle made of it is another reference.
    let Some(value) = (unsafe { Tensor::share(value) }) else { return false };
    let place = if part == 0 { Acted::Result(place) } else { Acted::Scores(place) };
    match catch_unwind(AssertUnwindSafe(|| act(place, &value))) {
        Ok(Ok(None)) => true,
        Ok(Ok(Some(tensor))) => {
            // SAFETY: the shim passes a place for a pointer; the tensor is handed over.
            unsafe { other.write(tensor.into_raw()) };
            true
        }
        Ok(Err(())) | Err(_) => false,
    }
}
