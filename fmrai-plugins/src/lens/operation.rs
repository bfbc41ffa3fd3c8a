//! Operations of a graph in the terms of a map: what they do with rows and with weights.

use fmrai_core::graph::{Graph, Operation, TensorId, Value};

use super::action::{Binary, Unary};
use super::error::LensError;

pub(super) fn shape(graph: &dyn Graph, id: TensorId) -> &[i64] {
    graph.tensor(id).map_or(&[], |t| t.shape.as_slice())
}

pub(super) fn width(graph: &dyn Graph, id: TensorId) -> usize {
    shape(graph, id).last().and_then(|n| usize::try_from(*n).ok()).unwrap_or(0)
}

/// The base name without the underscore of in-place operations.
pub(super) fn stem(operation: &Operation) -> &str {
    let name = operation.base_name();
    if name.starts_with("__") { name } else { name.strip_suffix('_').unwrap_or(name) }
}

pub(super) fn not_understood(operation: &Operation, what: impl Into<String>) -> LensError {
    let name = if operation.module.is_empty() {
        operation.name.clone()
    } else {
        format!("{} in {}", operation.name, operation.module)
    };
    LensError::NotUnderstood { operation: name, what: what.into() }
}

/// What an operation changes of a tensor's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The same elements in the same places, maybe in another type.
    Copy,
    Dropout,
    /// The same elements in the same row-major order.
    View,
    /// Axes in another order.
    Permute,
    /// Some places along an axis.
    Slice,
}

pub(super) fn form(name: &str) -> Option<Form> {
    Some(match name {
        "to"
        | "_to_copy"
        | "type_as"
        | "contiguous"
        | "clone"
        | "alias"
        | "alias_copy"
        | "detach"
        | "detach_copy"
        | "lift"
        | "lift_fresh"
        | "lift_fresh_copy"
        | "positive"
        | "float"
        | "half"
        | "_autocast_to_full_precision"
        | "_autocast_to_reduced_precision" => Form::Copy,
        "dropout" | "native_dropout" | "feature_dropout" | "alpha_dropout" => Form::Dropout,
        "view" | "reshape" | "_unsafe_view" | "_reshape_alias" | "view_as" | "reshape_as" | "flatten"
        | "unflatten" | "squeeze" | "unsqueeze" | "view_copy" | "squeeze_copy" | "unsqueeze_copy"
        | "_reshape_copy" => Form::View,
        "t" | "transpose" | "permute" | "numpy_T" | "swapaxes" | "swapdims" | "mT" | "t_copy"
        | "transpose_copy" | "permute_copy" => Form::Permute,
        "slice" | "narrow" | "slice_copy" | "narrow_copy" => Form::Slice,
        _ => return None,
    })
}

pub(super) fn unary(operation: &Operation) -> Result<Option<Unary>, LensError> {
    Ok(Some(match stem(operation) {
        "tanh" => Unary::Tanh,
        "gelu" => match operation.argument("approximate") {
            Some(Value::Text(kind)) if kind == "tanh" => Unary::GeluTanh,
            _ => Unary::Gelu,
        },
        "relu" => Unary::Relu,
        "silu" => Unary::Silu,
        "sigmoid" => Unary::Sigmoid,
        "erf" => Unary::Erf,
        "exp" => Unary::Exp,
        "neg" | "negative" => Unary::Negative,
        "sqrt" => Unary::SquareRoot,
        "rsqrt" => Unary::ReciprocalRoot,
        "reciprocal" => Unary::Reciprocal,
        "square" => Unary::Power(2.0),
        "pow" => match operation.argument("exponent").and_then(Value::as_float) {
            Some(exponent) if operation.tensor("self").is_some() => Unary::Power(exponent),
            _ => return Err(not_understood(operation, "its exponent is no number")),
        },
        "clamp" | "clip" | "clamp_min" | "clamp_max" | "hardtanh" => {
            let bound = |names: [&str; 2], open: f64| {
                let value = names.iter().find_map(|name| operation.argument(name));
                match value {
                    None | Some(Value::None) => Ok(open),
                    Some(value) => {
                        value.as_float().ok_or_else(|| not_understood(operation, "its bounds are no numbers"))
                    }
                }
            };
            Unary::Clamp {
                least: bound(["min", "min_val"], f64::NEG_INFINITY)?,
                most: bound(["max", "max_val"], f64::INFINITY)?,
            }
        }
        _ => return Ok(None),
    }))
}

/// The arithmetic of an operation with two operands, and whether they stand the other way round.
pub(super) fn binary(operation: &Operation) -> Result<Option<(Binary, bool)>, LensError> {
    let found = match stem(operation) {
        "add" => (Binary::Add, false),
        "sub" | "subtract" => (Binary::Subtract, false),
        "rsub" => (Binary::Subtract, true),
        "mul" | "multiply" => (Binary::Multiply, false),
        "div" | "divide" | "true_divide" => (Binary::Divide, false),
        _ => return Ok(None),
    };
    match operation.argument("rounding_mode") {
        None | Some(Value::None) => Ok(Some(found)),
        Some(mode) => Err(not_understood(operation, format!("it rounds: {mode}"))),
    }
}

pub(super) fn place(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis + rank } else { axis };
    usize::try_from(axis).ok().filter(|_| axis < rank)
}

/// For each axis of the result, the axis of the operand.
pub(super) fn permutation(operation: &Operation, rank: usize) -> Option<Vec<usize>> {
    let int = |name: &str| operation.argument(name).and_then(Value::as_int);
    let mut order: Vec<usize> = (0..rank).collect();
    match stem(operation) {
        "permute" | "permute_copy" => {
            let dims = operation.argument("dims")?.as_ints()?;
            dims.iter().map(|axis| place(*axis, rank)).collect()
        }
        "transpose" | "transpose_copy" | "swapdims" | "swapaxes" => {
            let axes = (int("dim0"), int("dim1"), int("axis0"), int("axis1"));
            let ((Some(a), Some(b), ..) | (None, None, Some(a), Some(b))) = axes else { return None };
            order.swap(place(a, rank)?, place(b, rank)?);
            Some(order)
        }
        "t" | "t_copy" | "numpy_T" => {
            order.reverse();
            Some(order)
        }
        "mT" => {
            order.swap(rank.checked_sub(2)?, rank.checked_sub(1)?);
            Some(order)
        }
        _ => None,
    }
}

/// Start and end along an axis of `size`; `None` unless all places in between are taken.
pub(super) fn slice(operation: &Operation, size: i64) -> Option<(usize, usize)> {
    let int = |name: &str| operation.argument(name).and_then(Value::as_int);
    if int("step").is_some_and(|step| step != 1) {
        return None;
    }
    let at = |n: i64| usize::try_from(if n < 0 { n + size } else { n }.clamp(0, size)).ok();
    let start = at(int("start").unwrap_or(0))?;
    let end = match int("length") {
        Some(length) => start.checked_add(usize::try_from(length).ok()?)?,
        None => at(int("end").unwrap_or(i64::MAX))?,
    };
    (start <= end).then_some((start, end))
}
