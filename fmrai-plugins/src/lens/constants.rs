//! Tensors of a map that are made of weights alone.

use std::collections::BTreeMap;

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::TensorId;
use fmrai_core::tensor::TensorData;
use ndarray::{ArcArray, Axis, Dimension, IxDyn, Slice};

use super::action::{Binary, Operand, Rounding, Unary};
use super::error::LensError;

/// Elements of a constant, in any order of its axes.
pub(super) type Elements = ArcArray<f32, IxDyn>;

/// All constants of a program.
pub(super) type Known = BTreeMap<TensorId, Elements>;

/// A tensor that does not depend on what is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    pub(super) output: TensorId,
    pub(super) recipe: Recipe,
    pub(super) rounding: Rounding,
}

/// How it is made.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Recipe {
    /// A named weight of the model.
    Parameter,
    /// One number, repeated.
    Number(f64),
    Same(TensorId),
    /// The same elements in the same row-major order.
    Shape(TensorId, Vec<usize>),
    /// Axes in another order.
    Permute(TensorId, Vec<usize>),
    /// Elements from `start` up to `end` along an axis.
    Part {
        input: TensorId,
        axis: usize,
        start: usize,
        end: usize,
    },
    Unary(Unary, TensorId),
    /// `left ∘ alpha · right`.
    Binary {
        kind: Binary,
        left: Operand,
        right: Operand,
        alpha: f64,
    },
}

/// Makes all of them.
pub(super) fn evaluate(constants: &[Constant], weights: &dyn Weights) -> Result<Known, LensError> {
    let mut known = Known::new();
    for constant in constants {
        if known.contains_key(&constant.output) {
            continue;
        }
        let mut made = make(constant, &known, weights)?;
        if constant.rounding != Rounding::None {
            constant.rounding.round(made.iter_mut());
        }
        known.insert(constant.output, made);
    }
    Ok(known)
}

fn make(constant: &Constant, known: &Known, weights: &dyn Weights) -> Result<Elements, LensError> {
    let id = constant.output;
    let unfit = |what: &str| LensError::Weight(format!("tensor {id}, which is made of weights: {what}"));
    let of = |id: &TensorId| known.get(id).cloned().ok_or_else(|| unfit("a part of it is unknown"));
    match &constant.recipe {
        Recipe::Parameter => parameter(weights, id),
        Recipe::Number(x) => Ok(number(*x)),
        Recipe::Same(input) => of(input),
        Recipe::Shape(input, shape) => {
            let input = of(input)?.as_standard_layout().into_owned().into_shared();
            input.into_shape_with_order(IxDyn(shape)).map_err(|e| unfit(&e.to_string()))
        }
        Recipe::Permute(input, order) => {
            let input = of(input)?;
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if sorted != (0..input.ndim()).collect::<Vec<_>>() {
                return Err(unfit("its axes are other ones"));
            }
            Ok(input.permuted_axes(IxDyn(order)))
        }
        Recipe::Part { input, axis, start, end } => {
            let input = of(input)?;
            if input.shape().get(*axis).is_none_or(|n| end > n || start > end) {
                return Err(unfit("it is cut beyond its end"));
            }
            Ok(input.slice_axis(Axis(*axis), Slice::from(*start..*end)).to_owned().into_shared())
        }
        Recipe::Unary(function, input) => Ok(of(input)?.mapv(|x| function.of(x)).into_shared()),
        Recipe::Binary { kind, left, right, alpha } => {
            let operand = |operand: &Operand| match operand {
                Operand::Constant(id) => of(id),
                Operand::Number(x) => Ok(number(*x)),
                Operand::Rows(_) => Err(unfit("a part of it is no weight")),
            };
            let (left, right) = (operand(left)?, operand(right)?);
            let shape = common(left.shape(), right.shape()).ok_or_else(|| unfit("its parts do not fit"))?;
            let (Some(a), Some(b)) = (left.broadcast(IxDyn(&shape)), right.broadcast(IxDyn(&shape))) else {
                return Err(unfit("its parts do not fit"));
            };
            let mut result = a.to_owned();
            result.zip_mut_with(&b, |a, b| *a = kind.of(*a, scaled(*b, *alpha)));
            Ok(result.into_shared())
        }
    }
}

/// `alpha · x`; no rounding where `alpha` is 1.
pub(super) fn scaled(x: f32, alpha: f64) -> f32 {
    if alpha == 1.0 { x } else { x * alpha as f32 }
}

fn number(x: f64) -> Elements {
    ArcArray::from_elem(IxDyn(&[]), x as f32)
}

/// The shape that both are repeated to.
fn common(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(axis) => shape.get(axis).copied().unwrap_or(1),
        None => 1,
    };
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (m, n) if m == n || n == 1 => Some(m),
            (1, n) => Some(n),
            _ => None,
        })
        .collect()
}

fn parameter(weights: &dyn Weights, id: TensorId) -> Result<Elements, LensError> {
    let wrong = |what: String| LensError::Weight(format!("weight {id} {what}"));
    let value = weights.weight(id).ok_or_else(|| wrong("is no named parameter of the model".to_owned()))?;
    let value = value.map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let shape = value.shape().to_vec();
    match value.into_data() {
        TensorData::F32(data) if data.iter().all(|x| x.is_finite()) => {
            ArcArray::from_shape_vec(IxDyn(&shape), data).map_err(|e| wrong(e.to_string()))
        }
        TensorData::F32(_) => Err(wrong("holds NaN or infinity".to_owned())),
        other => Err(wrong(format!("is {}, needed float32", other.dtype()))),
    }
}

/// A constant as what is added to rows or multiplied with them: one number, or one for each channel.
pub(super) fn per_channel(constant: &Elements) -> Option<Elements> {
    let shape = constant.shape();
    let width = shape.last().copied().unwrap_or(1);
    if constant.len() != width {
        return None;
    }
    let flat = constant.as_standard_layout().into_owned().into_shared();
    flat.into_shape_with_order(IxDyn(&[width])).ok().filter(|flat| flat.raw_dim().ndim() == 1)
}
