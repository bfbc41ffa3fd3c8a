//! TorchScript modules.

use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::message::{Sink, append, checked};
use super::tensor::{RawTensor, Tensor};

#[repr(C)]
struct RawScript {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RawAttributes {
    _opaque: [u8; 0],
}

type Each = extern "C" fn(*mut c_void, *const u8, usize, *mut RawTensor);

// Declared as in `shim/program_api.h`.
unsafe extern "C" {
    fn fmrai_script_load(bytes: *const u8, count: usize, script: *mut *mut RawScript) -> *mut c_char;
    fn fmrai_script_free(script: *mut RawScript);
    fn fmrai_script_describe(script: *const RawScript, sink: Sink, context: *mut c_void) -> *mut c_char;
    fn fmrai_script_weights(script: *const RawScript, each: Each, context: *mut c_void) -> *mut c_char;
    fn fmrai_script_attributes(script: *const RawScript, attributes: *mut *mut RawAttributes) -> *mut c_char;
    fn fmrai_attributes_free(attributes: *mut RawAttributes);
    fn fmrai_attributes_put_back(attributes: *const RawAttributes) -> *mut c_char;
    fn fmrai_attributes_are_current(attributes: *const RawAttributes, current: *mut bool) -> *mut c_char;
    fn fmrai_script_forward(
        script: *mut RawScript,
        inputs: *const *const RawTensor,
        count: usize,
        each: Each,
        context: *mut c_void,
    ) -> *mut c_char;
}

/// A TorchScript module in evaluation mode; profiling and fusing are off, so it runs the same operations each time.
pub(crate) struct Script {
    raw: NonNull<RawScript>,
}

// SAFETY: a module owns what it refers to; its interpreter begins anew on whatever thread runs it.
unsafe impl Send for Script {}

impl Script {
    /// Reads the bytes of a file of `torch.jit.save`; nothing of them is kept.
    pub(crate) fn load(file: &[u8]) -> Result<Self, String> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the bytes are read during the call, which copies what it keeps; `raw` is valid for a write.
        checked(unsafe { fmrai_script_load(file.as_ptr(), file.len(), &raw mut raw) })?;
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| "out of memory".to_owned())
    }

    /// Its class, inputs and modules, as JSON.
    pub(crate) fn describe(&self) -> Result<Vec<u8>, String> {
        let mut bytes: Vec<u8> = Vec::new();
        let context = std::ptr::from_mut(&mut bytes).cast();
        // SAFETY: the module is live; `append` gets the vector it expects, which outlives the call.
        checked(unsafe { fmrai_script_describe(self.raw.as_ptr(), append, context) })?;
        Ok(bytes)
    }

    /// Its parameters and buffers by name, sharing memory with the module.
    pub(crate) fn weights(&self) -> Result<Vec<(String, Tensor)>, String> {
        let mut named: Vec<(String, Tensor)> = Vec::new();
        let context = std::ptr::from_mut(&mut named).cast();
        // SAFETY: the module is live; `collect` gets the vector it expects, which outlives the call.
        checked(unsafe { fmrai_script_weights(self.raw.as_ptr(), collect, context) })?;
        Ok(named)
    }

    /// What the module and its submodules refer to now.
    pub(crate) fn attributes(&self) -> Result<Attributes<'_>, String> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the module is live, `raw` is valid for a write.
        checked(unsafe { fmrai_script_attributes(self.raw.as_ptr(), &raw mut raw) })?;
        let raw = NonNull::new(raw).ok_or_else(|| "out of memory".to_owned())?;
        Ok(Attributes { raw, script: PhantomData })
    }

    /// Runs `forward` on one entry for each input, in order; `None` takes the default. Results are named by their path.
    pub(crate) fn forward(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<(String, Tensor)>, String> {
        let pointers: Vec<*const RawTensor> =
            inputs.iter().map(|input| input.map_or(std::ptr::null(), Tensor::as_raw)).collect();
        let mut named: Vec<(String, Tensor)> = Vec::new();
        let context = std::ptr::from_mut(&mut named).cast();
        // SAFETY: the module and the inputs are live; `collect` gets the vector it expects, which outlives the call.
        checked(unsafe {
            fmrai_script_forward(self.raw.as_ptr(), pointers.as_ptr(), pointers.len(), collect, context)
        })?;
        Ok(named)
    }
}

/// What a module and its submodules referred to at one moment: attributes, and what lists and dictionaries held. Memory of
/// tensors is not copied.
pub(crate) struct Attributes<'s> {
    raw: NonNull<RawAttributes>,
    script: PhantomData<&'s Script>,
}

impl Attributes<'_> {
    /// Puts every reference back; may be called again.
    pub(crate) fn put_back(&self) -> Result<(), String> {
        // SAFETY: it is live, and holds all objects that it assigns to.
        checked(unsafe { fmrai_attributes_put_back(self.raw.as_ptr()) })
    }

    /// True if every reference is as it was.
    pub(crate) fn are_current(&self) -> Result<bool, String> {
        let mut current = false;
        // SAFETY: it is live, `current` is valid for a write.
        checked(unsafe { fmrai_attributes_are_current(self.raw.as_ptr(), &raw mut current) })?;
        Ok(current)
    }
}

impl Drop for Attributes<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `fmrai_script_attributes`, freed once.
        unsafe { fmrai_attributes_free(self.raw.as_ptr()) }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // SAFETY: made by `fmrai_script_load`, freed once.
        unsafe { fmrai_script_free(self.raw.as_ptr()) }
    }
}

extern "C" fn collect(context: *mut c_void, name: *const u8, length: usize, tensor: *mut RawTensor) {
    // SAFETY: the context is the vector that `weights` or `forward` passed, borrowed by nobody else now.
    let into = unsafe { &mut *context.cast::<Vec<(String, Tensor)>>() };
    let name = if length == 0 {
        String::new()
    } else {
        // SAFETY: the shim passes `length` readable bytes for the duration of this call.
        String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(name, length) }).into_owned()
    };
    // SAFETY: the tensor is new and ours.
    into.extend(unsafe { Tensor::from_raw(tensor) }.map(|tensor| (name, tensor)));
}
