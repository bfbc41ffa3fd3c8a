//! Doing what the model does between its last stream and its logits.

use std::collections::BTreeMap;

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::TensorId;
use ndarray::{Array2, ArrayView2, Axis, Ix1, Ix2, s};

use super::action::{Action, Binary, Operand, Rounding};
use super::constants::{Elements, Known, evaluate, per_channel, scaled};
use super::error::LensError;
use super::from::From;
use super::map::Lens;
use super::program::{Program, Step};

/// A [`Lens`] with its weights.
#[derive(Debug, Clone)]
pub struct LoadedLens {
    channels: usize,
    tokens: usize,
    constants: Known,
    from_stream: Program,
    from_sum: Program,
}

impl Lens {
    /// Reads the weights: 4 bytes for each of their elements.
    ///
    /// # Errors
    /// [`LensError::Weight`] if one cannot be read, is not finite or has a shape that does not fit.
    pub fn load(&self, weights: &dyn Weights) -> Result<LoadedLens, LensError> {
        LoadedLens::of(self, weights)
    }
}

/// Rows, one for each vector that is read.
type Rows = Array2<f32>;

impl LoadedLens {
    fn of(lens: &Lens, weights: &dyn Weights) -> Result<Self, LensError> {
        let all: Vec<_> =
            lens.from_sum.constants.iter().chain(&lens.from_stream.constants).cloned().collect();
        let loaded = Self {
            channels: lens.channels,
            tokens: lens.tokens,
            constants: evaluate(&all, weights)?,
            from_stream: lens.from_stream.clone(),
            from_sum: lens.from_sum.clone(),
        };
        // One row tells whether everything fits.
        for from in [From::Stream, From::Sum] {
            loaded.logits(Array2::ones((1, lens.channels)).view(), from)?;
        }
        Ok(loaded)
    }

    /// Width of what is read.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Size of the vocabulary.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The elements of a weight that the map uses as it is, of two axes.
    #[must_use]
    pub fn matrix(&self, weight: TensorId) -> Option<ndarray::ArcArray2<f32>> {
        self.constants.get(&weight)?.clone().into_dimensionality::<Ix2>().ok()
    }

    /// The logits `[row, token]` that the model would have with these vectors `[row, channel]` as its last stream.
    ///
    /// # Errors
    /// [`LensError::Channels`] for vectors of another width; [`LensError::Weight`] if a weight does not fit the others, which
    /// [`Lens::load`] has found already.
    pub fn logits(&self, vectors: ArrayView2<'_, f32>, from: From) -> Result<Array2<f32>, LensError> {
        if vectors.ncols() != self.channels {
            return Err(LensError::Channels { found: vectors.ncols(), needed: self.channels });
        }
        let program = match from {
            From::Stream => &self.from_stream,
            From::Sum => &self.from_sum,
        };
        let mut rows = BTreeMap::from([(program.start, vectors.as_standard_layout().into_owned())]);
        let mut last = BTreeMap::new();
        for (at, step) in program.steps.iter().enumerate() {
            for id in inputs(&step.action) {
                last.insert(id, at);
            }
        }
        for (at, step) in program.steps.iter().enumerate() {
            let mut made = self.step(step, &mut Live { rows: &mut rows, last: &last, at })?;
            if step.rounding != Rounding::None {
                step.rounding.round(made.iter_mut());
            }
            if !made.is_standard_layout() {
                made = made.as_standard_layout().into_owned();
            }
            rows.insert(step.output, made);
        }
        let logits = rows.remove(&program.end).ok_or_else(|| unfit("it gives no logits"))?;
        if logits.ncols() != self.tokens || logits.nrows() != vectors.nrows() {
            return Err(unfit("the logits have another size than in the model"));
        }
        Ok(logits)
    }

    /// The same for rows that stand one after the other, as captured tensors have them: `[row, channel]` to `[row, token]`.
    ///
    /// # Errors
    /// As [`logits`](Self::logits); also if the last row is cut short.
    pub fn logits_of(&self, vectors: &[f32], from: From) -> Result<Vec<f32>, LensError> {
        let count = vectors.len().checked_div(self.channels).unwrap_or(0);
        let left = vectors.len() - count * self.channels;
        let rows = ArrayView2::from_shape((count, self.channels), vectors);
        let rows = rows.map_err(|_| LensError::Channels { found: left, needed: self.channels })?;
        Ok(self.logits(rows, from)?.iter().copied().collect())
    }

    fn constant(&self, id: TensorId) -> Result<&Elements, LensError> {
        self.constants.get(&id).ok_or_else(|| unfit("a weight of it is unknown"))
    }

    /// A constant as one number for each of `width` channels.
    fn channel_weight(&self, id: TensorId, width: usize) -> Result<Vec<f32>, LensError> {
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
    fn vector(&self, operand: Operand) -> Result<Vec<f32>, LensError> {
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

/// Sums are in float64.
fn normalise(row: &mut [f32], centred: bool, eps: f64) {
    let n = row.len() as f64;
    let mean = if centred { row.iter().map(|&x| f64::from(x)).sum::<f64>() / n } else { 0.0 };
    let square = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    let by = (square + eps).sqrt().recip();
    row.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * by) as f32);
}

fn unfit(what: &str) -> LensError {
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
fn inputs(action: &Action) -> impl Iterator<Item = TensorId> {
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
