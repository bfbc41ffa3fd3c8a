//! Calls of single operations, prepared once and run on frames of values.

use std::ffi::c_char;
use std::ptr::NonNull;

use super::message::checked;
use super::session::{RawSession, Session};
use super::tensor::{RawTensor, Tensor, made};

#[repr(C)]
struct RawFrame {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RawCall {
    _opaque: [u8; 0],
}

// Declared as in `shim/program_api.h`.
unsafe extern "C" {
    fn fmrai_frame_new(slots: usize) -> *mut RawFrame;
    fn fmrai_frame_free(frame: *mut RawFrame);
    fn fmrai_frame_set_tensor(frame: *mut RawFrame, slot: u32, tensor: *const RawTensor) -> *mut c_char;
    fn fmrai_frame_set_number(
        frame: *mut RawFrame,
        slot: u32,
        kind: u8,
        integer: i64,
        real: f64,
    ) -> *mut c_char;
    fn fmrai_frame_get(
        frame: *mut RawFrame,
        slot: u32,
        kind: *mut u8,
        integer: *mut i64,
        real: *mut f64,
        tensor: *mut *mut RawTensor,
    ) -> *mut c_char;
    fn fmrai_frame_copy(frame: *mut RawFrame, from: u32, to: u32) -> *mut c_char;
    fn fmrai_frame_clear(frame: *mut RawFrame, slots: *const u32, count: usize) -> *mut c_char;
    fn fmrai_frame_wrote(frame: *const RawFrame, tensor: *const RawTensor) -> bool;
    fn fmrai_call_new(bytes: *const u8, length: usize, call: *mut *mut RawCall) -> *mut c_char;
    fn fmrai_call_free(call: *mut RawCall);
    fn fmrai_call_run(call: *mut RawCall, frame: *mut RawFrame) -> *mut c_char;
    fn fmrai_call_simulate(
        call: *mut RawCall,
        frame: *mut RawFrame,
        session: *mut RawSession,
        forms: *const u8,
        length: usize,
    ) -> *mut c_char;
    fn fmrai_session_finish(session: *mut RawSession) -> *mut c_char;
    fn fmrai_tensor_in(
        buffer: *const RawTensor,
        offset: usize,
        bytes: usize,
        storage: *mut *mut RawTensor,
    ) -> *mut c_char;
    fn fmrai_tensor_strided(
        storage: *const RawTensor,
        form: *const u8,
        length: usize,
        tensor: *mut *mut RawTensor,
    ) -> *mut c_char;
    fn fmrai_tensor_imagined(form: *const u8, length: usize, tensor: *mut *mut RawTensor) -> *mut c_char;
    fn fmrai_tensor_imagined_view(
        base: *const RawTensor,
        form: *const u8,
        length: usize,
        tensor: *mut *mut RawTensor,
    ) -> *mut c_char;
    fn fmrai_tensor_number(kind: u8, integer: i64, real: f64, tensor: *mut *mut RawTensor) -> *mut c_char;
    fn fmrai_tensor_copy(tensor: *const RawTensor, copy: *mut *mut RawTensor) -> *mut c_char;
    fn fmrai_tensor_exchange(tensor: *const RawTensor, other: *const RawTensor) -> *mut c_char;
}

/// Position of a value in a frame.
pub(crate) type Slot = u32;

/// What an argument is given, before the operation's schema says what it has to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    None,
    /// The tensor (or number) that the frame holds there when the call runs.
    Tensor(Slot),
    /// The number that the frame holds there, computed from sizes of the input.
    Number(Slot),
    Int(i64),
    Float(f64),
    Bool(bool),
    Complex(f64, f64),
    Text(String),
    /// E.g. `cpu`, `cuda:0`.
    Device(String),
    List(Vec<Given>),
}

/// Where a result goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Made {
    Nothing,
    /// A tensor, with its name in the program.
    Tensor(Slot, String),
    Tensors(Vec<(Slot, String)>),
    Int(Slot),
    Float(Slot),
    Bool(Slot),
}

/// A call as a program has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallSpec {
    /// E.g. `aten::softmax`.
    pub(crate) operation: String,
    /// E.g. `int`; empty for the default.
    pub(crate) overload: String,
    /// Path of the module it is in.
    pub(crate) module: String,
    /// Line of the source it comes from.
    pub(crate) source: String,
    /// By name in the schema, or in order where names are empty. Absent ones take their defaults.
    pub(crate) arguments: Vec<(String, Given)>,
    /// One for each return of the schema, or empty to drop them all.
    pub(crate) results: Vec<Made>,
    /// Slots that nothing reads after this call.
    pub(crate) last_used: Vec<Slot>,
}

/// How a tensor lies in its storage; sizes, strides and offset in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Form {
    /// Code of `c10::ScalarType`.
    pub(crate) dtype: i32,
    pub(crate) sizes: Vec<i64>,
    pub(crate) strides: Vec<i64>,
    pub(crate) offset: i64,
}

/// What a frame holds in a slot.
#[derive(Debug)]
pub(crate) enum Held {
    Nothing,
    Int(i64),
    Float(f64),
    Bool(bool),
    Tensor(Tensor),
    Other,
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_ne_bytes());
    out.extend(text.as_bytes());
}

impl Given {
    // Tags as in `Call::given` of call.cpp.
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => out.push(0),
            Self::Tensor(slot) => {
                out.push(1);
                out.extend(slot.to_ne_bytes());
            }
            Self::Int(value) => {
                out.push(2);
                out.extend(value.to_ne_bytes());
            }
            Self::Float(value) => {
                out.push(3);
                out.extend(value.to_ne_bytes());
            }
            Self::Bool(value) => out.extend([4, u8::from(*value)]),
            Self::Complex(real, imaginary) => {
                out.push(5);
                out.extend(real.to_ne_bytes());
                out.extend(imaginary.to_ne_bytes());
            }
            Self::Text(text) => {
                out.push(6);
                put_text(out, text);
            }
            Self::Device(device) => {
                out.push(7);
                put_text(out, device);
            }
            Self::List(items) => {
                out.push(8);
                out.extend((items.len() as u32).to_ne_bytes());
                items.iter().for_each(|item| item.encode(out));
            }
            Self::Number(slot) => {
                out.push(9);
                out.extend(slot.to_ne_bytes());
            }
        }
    }
}

impl Made {
    // Codes as in `Call::Kind` of call.h.
    fn encode(&self, out: &mut Vec<u8>) {
        let mut put = |kind: u8, slots: &[(Slot, &str)]| {
            out.push(kind);
            out.extend((slots.len() as u32).to_ne_bytes());
            for (slot, name) in slots {
                out.extend(slot.to_ne_bytes());
                put_text(out, name);
            }
        };
        match self {
            Self::Nothing => put(0, &[]),
            Self::Tensor(slot, name) => put(1, &[(*slot, name)]),
            Self::Tensors(all) => {
                let all: Vec<_> = all.iter().map(|(slot, name)| (*slot, name.as_str())).collect();
                put(2, &all);
            }
            Self::Int(slot) => put(3, &[(*slot, "")]),
            Self::Float(slot) => put(4, &[(*slot, "")]),
            Self::Bool(slot) => put(5, &[(*slot, "")]),
        }
    }
}

impl CallSpec {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for text in [&self.operation, &self.overload, &self.module, &self.source] {
            put_text(&mut out, text);
        }
        out.extend((self.arguments.len() as u32).to_ne_bytes());
        for (name, value) in &self.arguments {
            put_text(&mut out, name);
            value.encode(&mut out);
        }
        out.extend((self.results.len() as u32).to_ne_bytes());
        self.results.iter().for_each(|result| result.encode(&mut out));
        out.extend((self.last_used.len() as u32).to_ne_bytes());
        self.last_used.iter().for_each(|slot| out.extend(slot.to_ne_bytes()));
        out
    }
}

impl Form {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.dtype.to_ne_bytes());
        out.extend((self.sizes.len() as u32).to_ne_bytes());
        // A form with fewer strides than sizes is refused by the shim as too short.
        for number in self.sizes.iter().chain(&self.strides).chain([&self.offset]) {
            out.extend(number.to_ne_bytes());
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// The values of one run of a program.
pub(crate) struct Frame {
    raw: NonNull<RawFrame>,
}

// SAFETY: a frame owns its values, and nothing of it belongs to a thread.
unsafe impl Send for Frame {}

impl Frame {
    pub(crate) fn new(slots: usize) -> Result<Self, String> {
        // SAFETY: takes a number; null when out of memory.
        let raw = unsafe { fmrai_frame_new(slots) };
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| "out of memory".to_owned())
    }

    pub(crate) fn set_tensor(&mut self, slot: Slot, tensor: &Tensor) -> Result<(), String> {
        // SAFETY: frame and tensor are live; the frame takes a reference of its own. Slots are checked by the shim.
        checked(unsafe { fmrai_frame_set_tensor(self.raw.as_ptr(), slot, tensor.as_raw()) })
    }

    /// Puts a number, a truth value or nothing into a slot.
    pub(crate) fn set(&mut self, slot: Slot, value: &Held) -> Result<(), String> {
        let (kind, integer, real) = match value {
            Held::Tensor(tensor) => return self.set_tensor(slot, tensor),
            Held::Int(value) => (1, *value, 0.0),
            Held::Float(value) => (2, 0, *value),
            Held::Bool(value) => (3, i64::from(*value), 0.0),
            Held::Nothing | Held::Other => (0, 0, 0.0),
        };
        // SAFETY: the frame is live; slots are checked by the shim.
        checked(unsafe { fmrai_frame_set_number(self.raw.as_ptr(), slot, kind, integer, real) })
    }

    pub(crate) fn get(&self, slot: Slot) -> Result<Held, String> {
        let (mut kind, mut integer, mut real, mut tensor) = (0, 0, 0.0, std::ptr::null_mut());
        // SAFETY: the frame is live, the out-pointers are valid for writes.
        checked(unsafe {
            fmrai_frame_get(
                self.raw.as_ptr(),
                slot,
                &raw mut kind,
                &raw mut integer,
                &raw mut real,
                &raw mut tensor,
            )
        })?;
        Ok(match kind {
            0 => Held::Nothing,
            1 => Held::Int(integer),
            2 => Held::Float(real),
            3 => Held::Bool(integer != 0),
            // SAFETY: the shim made a tensor that is ours.
            4 => unsafe { Tensor::from_raw(tensor) }.map_or(Held::Nothing, Held::Tensor),
            _ => Held::Other,
        })
    }

    pub(crate) fn copy(&mut self, from: Slot, to: Slot) -> Result<(), String> {
        // SAFETY: the frame is live; slots are checked by the shim.
        checked(unsafe { fmrai_frame_copy(self.raw.as_ptr(), from, to) })
    }

    pub(crate) fn clear(&mut self, slots: &[Slot]) -> Result<(), String> {
        // SAFETY: the frame is live; the slots are read during the call.
        checked(unsafe { fmrai_frame_clear(self.raw.as_ptr(), slots.as_ptr(), slots.len()) })
    }

    /// Whether a simulated call wrote into the memory of `tensor`.
    pub(crate) fn wrote(&self, tensor: &Tensor) -> bool {
        // SAFETY: frame and tensor are live.
        unsafe { fmrai_frame_wrote(self.raw.as_ptr(), tensor.as_raw()) }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: made by `fmrai_frame_new`, freed once.
        unsafe { fmrai_frame_free(self.raw.as_ptr()) }
    }
}

/// A prepared call.
pub(crate) struct Call {
    raw: NonNull<RawCall>,
}

// SAFETY: a call owns what it refers to, and nothing of it belongs to a thread.
unsafe impl Send for Call {}

impl Call {
    /// Finds the operation and converts what is constant.
    ///
    /// # Errors
    /// Says what does not fit the operation's schema.
    pub(crate) fn new(spec: &CallSpec) -> Result<Self, String> {
        let bytes = spec.encode();
        let mut raw = std::ptr::null_mut();
        // SAFETY: the bytes are read during the call; `raw` is valid for a write.
        checked(unsafe { fmrai_call_new(bytes.as_ptr(), bytes.len(), &raw mut raw) })?;
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| "out of memory".to_owned())
    }

    /// Runs it on the values of `frame`.
    pub(crate) fn run(&self, frame: &mut Frame) -> Result<(), String> {
        // SAFETY: call and frame are live; the frame is borrowed exclusively, the call is not changed.
        checked(unsafe { fmrai_call_run(self.raw.as_ptr(), frame.raw.as_ptr()) })
    }

    /// Tells `session` of the call without running it; its results are to be of these forms, without elements.
    pub(crate) fn simulate(
        &self,
        frame: &mut Frame,
        session: &mut Session,
        forms: &[Form],
    ) -> Result<(), String> {
        let mut bytes = Vec::new();
        forms.iter().for_each(|form| form.encode(&mut bytes));
        // SAFETY: call, frame and session are live, the latter two borrowed exclusively; the bytes are read now.
        checked(unsafe {
            fmrai_call_simulate(
                self.raw.as_ptr(),
                frame.raw.as_ptr(),
                session.raw.as_ptr(),
                bytes.as_ptr(),
                bytes.len(),
            )
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // SAFETY: made by `fmrai_call_new`, freed once.
        unsafe { fmrai_call_free(self.raw.as_ptr()) }
    }
}

impl Session {
    /// Drops what ties the session to a pass that was simulated.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        // SAFETY: the session is live, and not watching: watching borrows it.
        checked(unsafe { fmrai_session_finish(self.raw.as_ptr()) })
    }
}

/// `bytes` bytes of a buffer (dense uint8) as a storage of its own, without a copy.
pub(crate) fn storage_in(buffer: &Tensor, offset: usize, bytes: usize) -> Result<Tensor, String> {
    // SAFETY: the buffer is live; the shim checks the bounds and holds a reference as long as the storage lives.
    made(|out| unsafe { fmrai_tensor_in(buffer.as_raw(), offset, bytes, out) })
}

/// The elements of a storage (dense uint8) that `form` names, without a copy.
pub(crate) fn strided(storage: &Tensor, form: &Form) -> Result<Tensor, String> {
    let bytes = form.bytes();
    // SAFETY: the storage is live, the bytes are read during the call; the shim checks the bounds.
    made(|out| unsafe { fmrai_tensor_strided(storage.as_raw(), bytes.as_ptr(), bytes.len(), out) })
}

/// A tensor without elements.
pub(crate) fn imagined(form: &Form) -> Result<Tensor, String> {
    let bytes = form.bytes();
    // SAFETY: the bytes are read during the call.
    made(|out| unsafe { fmrai_tensor_imagined(bytes.as_ptr(), bytes.len(), out) })
}

/// A tensor without elements that counts as sharing the memory of `base`, which has none either.
pub(crate) fn imagined_view(base: &Tensor, form: &Form) -> Result<Tensor, String> {
    let bytes = form.bytes();
    // SAFETY: the base is live, the bytes are read during the call; nobody can read elements of the result.
    made(|out| unsafe { fmrai_tensor_imagined_view(base.as_raw(), bytes.as_ptr(), bytes.len(), out) })
}

/// A copy that no session sees being made.
pub(crate) fn copy_unseen(tensor: &Tensor) -> Result<Tensor, String> {
    // SAFETY: the tensor is live.
    made(|out| unsafe { fmrai_tensor_copy(tensor.as_raw(), out) })
}

/// Gives `tensor` the memory of `other`; what shared memory with `tensor` keeps the old one.
pub(crate) fn exchange(tensor: &Tensor, other: &Tensor) -> Result<(), String> {
    // SAFETY: both are live.
    checked(unsafe { fmrai_tensor_exchange(tensor.as_raw(), other.as_raw()) })
}

/// A number as a tensor without axes: int64, float64 or bool. No session sees it being made.
pub(crate) fn number_tensor(value: &Held) -> Result<Tensor, String> {
    let (kind, integer, real) = match value {
        Held::Int(value) => (1, *value, 0.0),
        Held::Float(value) => (2, 0, *value),
        Held::Bool(value) => (3, i64::from(*value), 0.0),
        Held::Nothing | Held::Tensor(_) | Held::Other => return Err("it is no number".to_owned()),
    };
    // SAFETY: takes numbers.
    made(|out| unsafe { fmrai_tensor_number(kind, integer, real, out) })
}
