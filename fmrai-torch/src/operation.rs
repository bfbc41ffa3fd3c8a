//! Calls of any operation of libtorch by its name.

use fmrai_core::tensor::DType;

use crate::device::Device;
use crate::error::TorchError;
use crate::ffi::call::{Call, CallSpec, Frame, Given, Held, Made, Slot};
use crate::ffi::tensor::Tensor;

/// What an argument of an operation is given.
#[derive(Debug, Clone)]
pub enum Argument<'a> {
    /// Nothing, where the schema has an optional argument.
    None,
    /// A tensor.
    Tensor(&'a Tensor),
    /// A list of tensors.
    Tensors(Vec<&'a Tensor>),
    /// An integer; also an element type, by its code.
    Int(i64),
    /// A number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A list of integers, such as sizes.
    Ints(Vec<i64>),
    /// A text.
    Text(&'a str),
    /// A device.
    Device(Device),
}

/// Conversions of one kind of value each.
macro_rules! argument_from {
    ($($from:ty => $make:expr),* $(,)?) => {$(
        impl<'a> From<$from> for Argument<'a> {
            fn from(value: $from) -> Self {
                let make: fn($from) -> Self = $make;
                make(value)
            }
        }
    )*};
}

argument_from! {
    &'a Tensor => |value| Self::Tensor(value),
    Vec<&'a Tensor> => |value| Self::Tensors(value),
    i64 => |value| Self::Int(value),
    f64 => |value| Self::Float(value),
    bool => |value| Self::Bool(value),
    &[i64] => |value| Self::Ints(value.to_vec()),
    Vec<i64> => |value| Self::Ints(value),
    &'a str => |value| Self::Text(value),
    Device => |value| Self::Device(value),
}

/// Calls an operation that gives one tensor, such as `aten::softmax.int`, with arguments in the order of its schema; those left out
/// take their defaults.
///
/// It goes through libtorch's dispatcher as any operation of a model does, so gradients and trackers see it.
///
/// # Errors
/// [`TorchError`] if there is no such operation, an argument is not what its schema says, or it fails.
///
/// ```
/// use fmrai_torch::{Tensor, call};
///
/// let x = Tensor::from_slice(&[1.0f32, 1.0])?;
/// let shares = call("aten::softmax.int", &[(&x).into(), 0.into()])?;
/// assert_eq!(shares.to_vec::<f32>()?, [0.5, 0.5]);
/// # Ok::<(), fmrai_torch::TorchError>(())
/// ```
pub fn call(operation: &str, arguments: &[Argument<'_>]) -> Result<Tensor, TorchError> {
    match run(operation, arguments, |slot| Made::Tensor(slot, String::new()))? {
        Held::Tensor(tensor) => Ok(tensor),
        _ => Err(TorchError::new(format!("{operation} gives no tensor"))),
    }
}

/// As [`call`], for an operation that gives a truth value.
pub(crate) fn call_bool(operation: &str, arguments: &[Argument<'_>]) -> Result<bool, TorchError> {
    match run(operation, arguments, Made::Bool)? {
        Held::Bool(value) => Ok(value),
        _ => Err(TorchError::new(format!("{operation} gives no truth value"))),
    }
}

/// As [`call`], for an operation that gives a number of this type: whether it is not zero.
pub(crate) fn call_truth(
    operation: &str,
    arguments: &[Argument<'_>],
    dtype: DType,
) -> Result<bool, TorchError> {
    let made: fn(Slot) -> Made = if dtype == DType::Bool {
        Made::Bool
    } else if dtype.is_float() {
        Made::Float
    } else {
        Made::Int
    };
    match run(operation, arguments, made)? {
        Held::Bool(value) => Ok(value),
        Held::Int(value) => Ok(value != 0),
        Held::Float(value) => Ok(value != 0.0),
        _ => Err(TorchError::new(format!("{operation} gives no number"))),
    }
}

fn run(
    operation: &str,
    arguments: &[Argument<'_>],
    result: impl Fn(Slot) -> Made,
) -> Result<Held, TorchError> {
    let mut tensors: Vec<&Tensor> = Vec::new();
    let given: Vec<(String, Given)> =
        arguments.iter().map(|argument| (String::new(), given(argument, &mut tensors))).collect();
    let wrong = |what: String| TorchError::new(format!("{operation}: {what}"));
    let made = Slot::try_from(tensors.len()).map_err(|_| wrong("too many tensors".to_owned()))?;
    let (name, overload) = operation.split_once('.').unwrap_or((operation, ""));
    let spec = CallSpec {
        operation: name.to_owned(),
        overload: overload.to_owned(),
        module: String::new(),
        source: String::new(),
        arguments: given,
        results: vec![result(made)],
        last_used: Vec::new(),
    };
    let call = Call::new(&spec).map_err(wrong)?;
    let mut frame = Frame::new(tensors.len() + 1).map_err(wrong)?;
    for (slot, tensor) in (0..).zip(&tensors) {
        frame.set_tensor(slot, tensor).map_err(wrong)?;
    }
    call.run(&mut frame).map_err(TorchError::new)?;
    frame.get(made).map_err(wrong)
}

/// The argument as a call has it; its tensors get the next slots.
fn given<'a>(argument: &Argument<'a>, tensors: &mut Vec<&'a Tensor>) -> Given {
    let mut slot = |tensor: &'a Tensor| {
        tensors.push(tensor);
        Given::Tensor((tensors.len() - 1) as Slot)
    };
    match argument {
        Argument::None => Given::None,
        Argument::Tensor(tensor) => slot(tensor),
        Argument::Tensors(all) => Given::List(all.iter().map(|tensor| slot(tensor)).collect()),
        Argument::Int(value) => Given::Int(*value),
        Argument::Float(value) => Given::Float(*value),
        Argument::Bool(value) => Given::Bool(*value),
        Argument::Ints(values) => Given::List(values.iter().map(|value| Given::Int(*value)).collect()),
        Argument::Text(text) => Given::Text((*text).to_owned()),
        Argument::Device(device) => Given::Device(device.to_string()),
    }
}
