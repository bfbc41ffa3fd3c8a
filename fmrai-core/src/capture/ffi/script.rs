//! TorchScript modules.

use std::ffi::{c_char, c_void};
use std::ptr::NonNull;

use tch::Tensor;
use torch_sys::C_tensor;

use super::{Sink, append, checked};

#[repr(C)]
struct RawScript {
    _opaque: [u8; 0],
}

type Each = extern "C" fn(*mut c_void, *const u8, usize, *mut C_tensor);

// Declared as in `ffi/program_api.h`.
unsafe extern "C" {
    fn fmrai_script_load(bytes: *const u8, count: usize, script: *mut *mut RawScript) -> *mut c_char;
    fn fmrai_script_free(script: *mut RawScript);
    fn fmrai_script_describe(script: *const RawScript, sink: Sink, context: *mut c_void) -> *mut c_char;
    fn fmrai_script_weights(script: *const RawScript, each: Each, context: *mut c_void) -> *mut c_char;
    fn fmrai_script_forward(
        script: *mut RawScript,
        inputs: *const *const C_tensor,
        count: usize,
        each: Each,
        context: *mut c_void,
    ) -> *mut c_char;
}

/// A TorchScript module in evaluation mode; profiling and fusing are off, so it runs the same operations each time.
pub(crate) struct Script {
    raw: NonNull<RawScript>,
}

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

    /// Runs `forward` on one entry for each input, in order; `None` takes the default. Results are named by their path.
    pub(crate) fn forward(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<(String, Tensor)>, String> {
        let pointers: Vec<*const C_tensor> =
            inputs.iter().map(|input| input.map_or(std::ptr::null(), Tensor::as_ptr)).collect();
        let mut named: Vec<(String, Tensor)> = Vec::new();
        let context = std::ptr::from_mut(&mut named).cast();
        // SAFETY: the module and the inputs are live; `collect` gets the vector it expects, which outlives the call.
        checked(unsafe {
            fmrai_script_forward(self.raw.as_ptr(), pointers.as_ptr(), pointers.len(), collect, context)
        })?;
        Ok(named)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // SAFETY: made by `fmrai_script_load`, freed once.
        unsafe { fmrai_script_free(self.raw.as_ptr()) }
    }
}

extern "C" fn collect(context: *mut c_void, name: *const u8, length: usize, tensor: *mut C_tensor) {
    // SAFETY: the context is the vector that `weights` or `forward` passed, borrowed by nobody else now.
    let into = unsafe { &mut *context.cast::<Vec<(String, Tensor)>>() };
    let name = if length == 0 {
        String::new()
    } else {
        // SAFETY: the shim passes `length` readable bytes for the duration of this call.
        String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(name, length) }).into_owned()
    };
    // SAFETY: the tensor is new and ours.
    into.push((name, unsafe { Tensor::from_ptr(tensor) }));
}
