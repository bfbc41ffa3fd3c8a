//! One operation of a map, done with rows.

use std::collections::BTreeMap;

use fmrai_core::graph::TensorId;
use ndarray::{Array2, Axis, Ix1, Ix2, s};

use super::action::{Action, Binary, Operand, Rounding};
use super::constants::{Elements, Known, per_channel, scaled};
use super::error::LensError;
use super::program::Step;

/// Rows, one for each vector that is read.
pub(super) type Rows = Array2<f32>;

/// Does the operations of a program with rows.
pub(super) struct Steps<'a> {
    /// What does not depend on the rows.
    pub(super) known: &'a Known,
}

impl Steps<'_> {
    /// Does an operation, rounds as the model does, and puts the result to the others.
    pub(super) fn take(
        &self,
        step: &Step,
        rows: &mut BTreeMap<TensorId, Rows>,
        last: &BTreeMap<TensorId, usize>,
        at: usize,
    ) -> Result<(), LensError> {
        let mut made = self.step(step, &mut Live { rows, last, at })?;
        if step.rounding != Rounding::None {
            step.rounding.round(made.iter_mut());
        }
        if !made.is_standard_layout() {
            made = made.as_standard_layout().into_owned();
        }
        rows.insert(step.output, made);
        Ok(())
    }

    pub(super) fn constant(&self, id: TensorId) -> Result<&Elements, LensError> {
        self.known.get(&id).ok_or_else(|| unfit("a weight of it is unknown"))
    }

    /// A constant as one number for each of `width` channels.
    pub(super) fn channel_weight(&self, id: TensorId, width: usize) -> Result<Vec<f32>, LensError> {
        let flat = per_channel(self.constant(id)?).ok_or_else(|| unfit("a weight is more than a vector"))?;
        match flat.len() {
            n if n == width => Ok(flat.iter().copied().collect()),
            1 => Ok(vec![flat.iter().copied().next().unwrap_or(0.0); width]),
            n => Err(LensError::Weight(format!("weight {id} has {n} channels, needed {width}"))),
        }
    }

    fn step(&self, step: &Step, live: &mut Live<'_>) -> Result<Rows, LensError> {
        match &step.action {
            Action::Same(input) => live.take(*input),
            Action::Norm { input, centred, eps, weight, bias } => {
                let mut rows = live.take(*input)?;
                let width = rows.ncols();
                let scale = weight.map(|id| self.channel_weight(id, width)).transpose()?;
                let shift = bias.map(|id| self.channel_weight(id, width)).transpose()?;
                for mut row in rows.rows_mut() {
                    normalise(row.as_slice_mut().unwrap_or_default(), *centred, *eps);
                    if let Some(scale) = &scale {
                        row.iter_mut().zip(scale).for_each(|(x, scale)| *x *= scale);
                    }
                    if let Some(shift) = &shift {
                        row.iter_mut().zip(shift).for_each(|(x, shift)| *x += shift);
                    }
                }
                Ok(rows)
            }
            Action::Linear { input, weight, summed, bias } => {
                let rows = live.take(*input)?;
                let weight = self.constant(*weight)?.view().into_dimensionality::<Ix2>();
                let weight = weight.map_err(|_| unfit("a linear map's weight has not two axes"))?;
                let weight = if *summed == 0 { weight } else { weight.reversed_axes() };
                if weight.nrows() != rows.ncols() {
                    return Err(unfit("a linear map takes another width"));
                }
                let mut out = rows.dot(&weight);
                if let Some(bias) = bias {
                    let bias = ndarray::Array1::from(self.channel_weight(*bias, out.ncols())?);
                    out += &bias;
                }
                Ok(out)
            }
            Action::Unary(function, input) => {
                let mut rows = live.take(*input)?;
                rows.mapv_inplace(|x| function.of(x));
                Ok(rows)
            }
            Action::Binary { kind, left, right, alpha } => self.binary(*kind, *left, *right, *alpha, live),
            Action::Mean(input) => {
                let rows = live.take(*input)?;
                Ok(per_row(&rows, |row| row.iter().map(|&x| f64::from(x)).sum::<f64>() / row.len() as f64))
            }
            Action::Sum(input) => {
                Ok(per_row(&live.take(*input)?, |row| row.iter().map(|&x| f64::from(x)).sum()))
            }
            Action::Variance { input, correction } => Ok(per_row(&live.take(*input)?, |row| {
                let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / row.len() as f64;
                let sum: f64 = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
                sum / (row.len() as f64 - correction)
            })),
            Action::Part { input, start, end } => {
                let rows = live.take(*input)?;
                if *end > rows.ncols() || start > end {
                    return Err(unfit("it is cut beyond its end"));
                }
                Ok(rows.slice(s![.., *start..*end]).to_owned())
            }
        }
    }

    fn binary(
        &self,
        kind: Binary,
        left: Operand,
        right: Operand,
        alpha: f64,
        live: &mut Live<'_>,
    ) -> Result<Rows, LensError> {
        let apply = |a: &mut f32, b: f32| *a = kind.of(*a, scaled(b, alpha));
        match (left, right) {
            (Operand::Rows(left), Operand::Rows(right)) => {
                let (a, b) = if left == right {
                    let a = live.take(left)?;
                    (a.clone(), a)
                } else {
                    (live.take(left)?, live.take(right)?)
                };
                let shape = (a.nrows(), a.ncols().max(b.ncols()));
                let mut out = if a.dim() == shape {
                    a
                } else {
                    a.broadcast(shape).ok_or_else(|| unfit("two operands differ in width"))?.to_owned()
                };
                let b = b.broadcast(shape).ok_or_else(|| unfit("two operands differ in width"))?;
                out.zip_mut_with(&b, |a, b| apply(a, *b));
                Ok(out)
            }
            (Operand::Rows(left), other) => {
                let mut a = live.take(left)?;
                let b = self.vector(other)?;
                if b.len() != 1 && a.ncols() == 1 {
                    a = wide(&a, b.len());
                }
                if b.len() != 1 && b.len() != a.ncols() {
                    return Err(unfit("a weight has another width than what it is combined with"));
                }
                each(&mut a, &b, apply);
                Ok(a)
            }
            (other, Operand::Rows(right)) => {
                let mut b = live.take(right)?;
                let a = self.vector(other)?;
                if a.len() != 1 && b.ncols() == 1 {
                    b = wide(&b, a.len());
                }
                if a.len() != 1 && a.len() != b.ncols() {
                    return Err(unfit("a weight has another width than what it is combined with"));
                }
                each(&mut b, &a, |b, a| *b = kind.of(a, scaled(*b, alpha)));
                Ok(b)
            }
            _ => Err(unfit("an operation reads nothing of the stream")),
        }
    }

    /// What stands beside rows: one number, or one for each channel.
    pub(super) fn vector(&self, operand: Operand) -> Result<Vec<f32>, LensError> {
        match operand {
            Operand::Number(x) => Ok(vec![x as f32]),
            Operand::Constant(id) => {
                let flat =
                    per_channel(self.constant(id)?).ok_or_else(|| unfit("a weight is more than a vector"))?;
                let flat = flat.into_dimensionality::<Ix1>().map_err(|e| unfit(&e.to_string()))?;
                Ok(flat.to_vec())
            }
            Operand::Rows(_) => Err(unfit("rows stand where a weight should")),
        }
    }
}

/// Combines each row with the numbers.
fn each(rows: &mut Rows, with: &[f32], apply: impl Fn(&mut f32, f32)) {
    if let [one] = with {
        rows.iter_mut().for_each(|x| apply(x, *one));
        return;
    }
    for mut row in rows.rows_mut() {
        row.iter_mut().zip(with).for_each(|(x, w)| apply(x, *w));
    }
}

/// One number of each row, `width` times.
fn wide(rows: &Rows, width: usize) -> Rows {
    Array2::from_shape_fn((rows.nrows(), width), |(row, _)| rows[(row, 0)])
}

fn per_row(rows: &Rows, of: impl Fn(&[f32]) -> f64) -> Rows {
    let rows = rows.as_standard_layout();
    let numbers = rows.rows().into_iter().map(|row| of(row.as_slice().unwrap_or_default()) as f32);
    ndarray::Array1::from_iter(numbers).insert_axis(Axis(1))
}

/// What a norm subtracts, and what it divides by. Sums are in float64.
pub(super) fn mean_and_scale(row: &[f32], centred: bool, eps: f64) -> (f64, f64) {
    let n = row.len() as f64;
    let mean = if centred { row.iter().map(|&x| f64::from(x)).sum::<f64>() / n } else { 0.0 };
    let square = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    (mean, (square + eps).sqrt())
}

fn normalise(row: &mut [f32], centred: bool, eps: f64) {
    let (mean, scale) = mean_and_scale(row, centred, eps);
    let by = scale.recip();
    row.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * by) as f32);
}

pub(super) fn unfit(what: &str) -> LensError {
    LensError::Weight(format!("the map to the vocabulary cannot be followed with these weights: {what}"))
}

/// Tensors of the rows that are still needed.
struct Live<'a> {
    rows: &'a mut BTreeMap<TensorId, Rows>,
    /// The last step that takes each.
    last: &'a BTreeMap<TensorId, usize>,
    at: usize,
}

impl Live<'_> {
    /// A tensor, without a copy where nothing takes it later.
    fn take(&mut self, id: TensorId) -> Result<Rows, LensError> {
        let found = if self.last.get(&id) == Some(&self.at) {
            self.rows.remove(&id)
        } else {
            self.rows.get(&id).cloned()
        };
        found.ok_or_else(|| unfit("an operand is unknown"))
    }
}

/// The rows that an action takes.
pub(super) fn inputs(action: &Action) -> impl Iterator<Item = TensorId> {
    let rows = |operand: &Operand| match operand {
        Operand::Rows(id) => Some(*id),
        _ => None,
    };
    let [first, second] = match action {
        Action::Same(id)
        | Action::Unary(_, id)
        | Action::Mean(id)
        | Action::Sum(id)
        | Action::Norm { input: id, .. }
        | Action::Linear { input: id, .. }
        | Action::Variance { input: id, .. }
        | Action::Part { input: id, .. } => [Some(*id), None],
        Action::Binary { left, right, .. } => [rows(left), rows(right)],
    };
    first.into_iter().chain(second)
}
