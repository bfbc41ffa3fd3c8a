//! The same tensor for tch and for fMRAi: both hold a counted reference to one tensor of libtorch.
#![expect(unsafe_code, reason = "both hold an `at::Tensor`, which only their pointers tell")]

use fmrai_torch::model::ModelError;
use fmrai_torch::{Device, RawTensor, Tensor, TorchError};

/// The tensor as fMRAi holds it, sharing its elements.
#[must_use]
pub fn from_tch(tensor: &tch::Tensor) -> Tensor {
    let shared = tensor.shallow_clone();
    let raw: *mut RawTensor = shared.as_ptr().cast_mut().cast();
    std::mem::forget(shared);
    // SAFETY: tch holds a `new at::Tensor` of the same libtorch, and has given this one up.
    let made = unsafe { Tensor::from_raw(raw) };
    made.unwrap_or_else(|| unreachable!("tch holds no null"))
}

/// The tensor as tch holds it, sharing its elements.
pub fn to_tch(tensor: &Tensor) -> tch::Tensor {
    let raw = tensor.clone().into_raw();
    // SAFETY: it is a `new at::Tensor` of the same libtorch, and was given up.
    unsafe { tch::Tensor::from_ptr(raw.cast()) }
}

/// The device as tch names it.
pub(crate) fn device_of(device: Device) -> Result<tch::Device, ModelError> {
    match device {
        Device::Cpu => Ok(tch::Device::Cpu),
        Device::Cuda(ordinal) => Ok(tch::Device::Cuda(ordinal)),
        Device::Mps => Ok(tch::Device::Mps),
        Device::Other(_) => Err(ModelError::Torch(TorchError::new(format!("models do not run on {device}")))),
    }
}

/// Errors of tch as those of a model.
pub(crate) trait OfModel<T> {
    /// The result, with the first line of what libtorch says as its error.
    fn of_model(self) -> Result<T, ModelError>;
}

impl<T> OfModel<T> for Result<T, tch::TchError> {
    fn of_model(self) -> Result<T, ModelError> {
        self.map_err(|error| model_error(&error))
    }
}

/// The error as that of a model: the first line of what libtorch says.
pub(crate) fn model_error(error: &tch::TchError) -> ModelError {
    let text = error.to_string();
    ModelError::Torch(TorchError::new(text.lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_see_the_same_elements() {
        let there = tch::Tensor::from_slice(&[1i64, 2, 3]);
        let here = from_tch(&there);
        let _ = there.get(0).fill_(7);
        assert_eq!(here.to_vec::<i64>().unwrap(), [7, 2, 3]);
        assert_eq!(here.address(), Some(there.data_ptr() as usize));
        let back = to_tch(&here);
        drop((here, there));
        assert_eq!(Vec::<i64>::try_from(back).unwrap(), [7, 2, 3]);
        assert!(!from_tch(&tch::Tensor::new()).is_defined());
    }
}
