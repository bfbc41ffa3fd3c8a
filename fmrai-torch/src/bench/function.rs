//! Code of the caller's own in edits and objectives.

use std::sync::{Mutex, PoisonError};

use fmrai_core::experiment::Function;
use fmrai_core::tracker::BoxError;

use crate::ffi::tensor::Tensor;

type Code = Mutex<Box<dyn FnMut(&Tensor, &[usize]) -> Result<Tensor, BoxError> + Send>>;

/// Code for [`Change::Apply`](fmrai_core::experiment::Change::Apply) and [`Objective::Apply`](fmrai_core::experiment::Objective::Apply):
/// it is given a tensor with the axes of the site, and which row of the batch each of its rows is, and gives back the tensor to go on with, or
/// one number for each row. Rows of other variants that run in the same pass are not in it. What it is given is a copy, so it may write to it;
/// what it computes is recorded for gradients where these are asked for.
///
/// ```
/// use fmrai_core::experiment::Change;
/// use fmrai_torch::bench::function;
/// use fmrai_torch::call;
///
/// let clamped = Change::Apply(function(|part, _| Ok(call("aten::clamp_max", &[part.into(), 2.0.into()])?)));
/// # let _ = clamped;
/// ```
pub fn function(
    code: impl FnMut(&Tensor, &[usize]) -> Result<Tensor, BoxError> + Send + 'static,
) -> Function {
    Function::new(Code::new(Box::new(code)))
}

/// What a function makes of these rows of the batch.
pub(super) fn applied(function: &Function, part: &Tensor, rows: &[usize]) -> Result<Tensor, String> {
    let Some(code) = function.get::<Code>() else {
        return Err(
            "its function was not made for this bench: fmrai_torch::bench::function makes them".to_owned()
        );
    };
    let mut code = code.lock().unwrap_or_else(PoisonError::into_inner);
    code(part, rows).map_err(|error| format!("its function fails: {error}"))
}
