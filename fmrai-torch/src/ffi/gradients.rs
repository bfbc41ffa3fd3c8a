//! Derivatives.

use std::ffi::c_char;

use super::message::checked;
use super::tensor::{RawTensor, Tensor, made};

// Declared as in `shim/tensor.h`.
unsafe extern "C" {
    fn fmrai_tensor_leaf(tensor: *const RawTensor, leaf: *mut *mut RawTensor) -> *mut c_char;
    fn fmrai_gradients_of(
        of: *const RawTensor,
        weights: *const RawTensor,
        to: *const *const RawTensor,
        count: usize,
        keep: bool,
        gradients: *mut *mut RawTensor,
    ) -> *mut c_char;
}

/// A copy outside of any record of gradients, as something to differentiate with respect to.
pub(crate) fn leaf(tensor: &Tensor) -> Result<Tensor, String> {
    // SAFETY: the tensor is live; what is made is ours.
    made(|out| unsafe { fmrai_tensor_leaf(tensor.as_raw(), out) })
}

/// Derivatives of a tensor with respect to others; `None` for one that it does not depend on. `weights` has the form of the tensor, and says how much each of
/// its elements counts; without it, the tensor has one element. The record is given up unless `keep` says that it is needed again.
pub(crate) fn gradients(
    of: &Tensor,
    weights: Option<&Tensor>,
    to: &[&Tensor],
    keep: bool,
) -> Result<Vec<Option<Tensor>>, String> {
    let raw: Vec<*const RawTensor> = to.iter().map(|tensor| tensor.as_raw()).collect();
    let mut made = vec![std::ptr::null_mut(); raw.len()];
    // SAFETY: all tensors are live; there is a place for each derivative.
    checked(unsafe {
        let weights = weights.map_or(std::ptr::null(), Tensor::as_raw);
        fmrai_gradients_of(of.as_raw(), weights, raw.as_ptr(), raw.len(), keep, made.as_mut_ptr())
    })?;
    // SAFETY: each is null or new and ours.
    Ok(made.into_iter().map(|raw| unsafe { Tensor::from_raw(raw) }).collect())
}
