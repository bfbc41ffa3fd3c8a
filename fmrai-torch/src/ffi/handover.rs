//! Tensors that go between Python and Rust.

use std::ffi::c_char;

use super::message::checked;
use super::tensor::{RawTensor, Tensor, made};
use crate::error::TorchError;

// Declared as in `shim/handover.h`.
unsafe extern "C" {
    fn fmrai_tensor_of_implementation(address: usize, tensor: *mut *mut RawTensor) -> *mut c_char;
    fn fmrai_handover_define() -> *mut c_char;
    fn fmrai_handover_put(tensor: *const RawTensor, number: *mut i64) -> *mut c_char;
}

impl Tensor {
    /// Another reference to the tensor whose implementation lies at `address`: what Python has as `tensor._cdata`.
    ///
    /// # Safety
    /// There is a live `c10::TensorImpl` of the libtorch of this process at `address`, and somebody holds it during the call.
    ///
    /// # Errors
    /// [`TorchError`] for the address 0.
    pub unsafe fn of_implementation(address: usize) -> Result<Self, TorchError> {
        // SAFETY: the caller vouches for the address; what is made is ours.
        made(|out| unsafe { fmrai_tensor_of_implementation(address, out) }).map_err(TorchError::new)
    }

    /// Defines the operation `fmrai::take(int number) -> Tensor` in the dispatcher, by which any language that libtorch is bound to takes
    /// over what was [handed over](Self::hand_over). Does nothing the second time.
    ///
    /// # Errors
    /// [`TorchError`] if libtorch refuses it.
    pub fn define_take() -> Result<(), TorchError> {
        // SAFETY: takes nothing; defines once, guarded by a C++ static.
        checked(unsafe { fmrai_handover_define() }).map_err(TorchError::new)
    }

    /// Holds the tensor until `fmrai::take` is called with the number that this gives.
    ///
    /// # Errors
    /// [`TorchError`] if there is no memory for it.
    pub fn hand_over(&self) -> Result<i64, TorchError> {
        let mut number = 0;
        // SAFETY: the tensor is live, `number` is valid for a write.
        checked(unsafe { fmrai_handover_put(self.as_raw(), &raw mut number) }).map_err(TorchError::new)?;
        Ok(number)
    }
}
