//! A path with its weights, followed backwards.

use std::collections::{BTreeMap, BTreeSet};

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::TensorId;
use ndarray::{Array2, ArrayView2, Ix2};

use super::covectors::Covectors;
use super::kind::Kind;
use super::norms;
use super::path::Path;
use crate::lens::action::{Action, Binary, Operand, Unary};
use crate::lens::constants::{Known, evaluate};
use crate::lens::error::LensError;
use crate::lens::program::Step;
use crate::lens::steps::{Rows, Steps, unfit};

/// A [`Path`] with its weights.
#[derive(Debug, Clone)]
pub struct LoadedPath {
    path: Path,
    constants: Known,
}

/// What [`LoadedPath::pull`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulled {
    /// `Aᵀ c` for each tensor that is given, `[row, channel]`.
    pub covectors: Vec<Array2<f64>>,
    /// `b · c` for each row: what is added whatever is given.
    pub constants: Vec<f64>,
}

impl Path {
    /// Reads the weights: 4 bytes for each of their elements.
    ///
    /// # Errors
    /// [`LensError::Weight`] if one cannot be read or is not finite.
    pub fn load(&self, weights: &dyn Weights) -> Result<LoadedPath, LensError> {
        LoadedPath::of(self, weights)
    }
}

impl LoadedPath {
    pub(super) fn of(path: &Path, weights: &dyn Weights) -> Result<Self, LensError> {
        let mut constants = evaluate(&path.program.constants, weights)?;
        let used: BTreeSet<TensorId> =
            path.program.steps.iter().flat_map(|step| weights_of(&step.action)).collect();
        constants.retain(|id, _| used.contains(id));
        for constant in constants.values_mut().filter(|constant| !constant.is_standard_layout()) {
            *constant = constant.as_standard_layout().into_owned().into_shared();
        }
        Ok(Self { path: path.clone(), constants })
    }

    /// Its operations, before weights were read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `Aᵀ c` and `b · c` for covectors `c` of the end. `rows` are the whole sums, `[row, channel]` for each tensor that is given, of which
    /// the statistics are taken. In float64, but for the numbers that statistics are made of.
    ///
    /// # Errors
    /// [`LensError::Channels`] for rows of another width, [`LensError::Weight`] for weights that do not fit.
    pub fn pull(&self, rows: &[ArrayView2<'_, f32>], covectors: Covectors) -> Result<Pulled, LensError> {
        let count = covectors.rows();
        for (rows, id) in rows.iter().zip(&self.path.given) {
            let needed = self.width(*id);
            if rows.dim() != (count, needed) {
                return Err(LensError::Channels { found: rows.ncols(), needed });
            }
        }
        if rows.len() != self.path.given.len() {
            return Err(unfit("it starts from another number of tensors"));
        }
        let known = self.forward(rows)?;
        let mut open = BTreeMap::from([(self.path.end, covectors)]);
        let mut constants = vec![0.0; count];
        for step in self.path.program.steps.iter().rev() {
            if self.path.kinds.get(&step.output) != Some(&Kind::Affine) {
                continue;
            }
            let Some(covectors) = open.remove(&step.output) else { continue };
            for (id, covectors) in self.back(step, covectors, &known, &mut constants)? {
                let all = match open.remove(&id) {
                    Some(other) => other.plus(covectors, self.width(id)),
                    None => covectors,
                };
                open.insert(id, all);
            }
        }
        let given = self.path.given.iter().map(|id| match open.remove(id) {
            Some(covectors) => covectors.dense(self.width(*id)),
            None => Array2::zeros((count, self.width(*id))),
        });
        Ok(Pulled { covectors: given.collect(), constants })
    }

    fn width(&self, id: TensorId) -> usize {
        self.path.widths.get(&id).copied().unwrap_or(0)
    }

    /// The numbers of the tensors that are needed.
    fn forward(&self, rows: &[ArrayView2<'_, f32>]) -> Result<BTreeMap<TensorId, Rows>, LensError> {
        let given = self.path.given.iter().zip(rows).filter(|(id, _)| self.path.needed.contains(id));
        let mut known: BTreeMap<TensorId, Rows> =
            given.map(|(id, rows)| (*id, rows.as_standard_layout().into_owned())).collect();
        let steps = Steps { known: &self.constants };
        for step in self.path.program.steps.iter().filter(|step| self.path.needed.contains(&step.output)) {
            steps.take(step, &mut known, &BTreeMap::new(), 0)?;
        }
        Ok(known)
    }

    /// Covectors of what a step takes; what it adds goes to the constants.
    fn back(
        &self,
        step: &Step,
        covectors: Covectors,
        known: &BTreeMap<TensorId, Rows>,
        constants: &mut [f64],
    ) -> Result<Vec<(TensorId, Covectors)>, LensError> {
        let steps = Steps { known: &self.constants };
        let mut add = |sums: Vec<f64>| constants.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
        let width = self.width(step.output);
        let one = match &step.action {
            Action::Same(input) => (*input, covectors),
            Action::Unary(Unary::Negative, input) => (*input, covectors.map(|_, _, x| -x)),
            Action::Mean(input) | Action::Sum(input) => {
                let wide = self.width(*input);
                let by = if matches!(step.action, Action::Mean(_)) { wide as f64 } else { 1.0 };
                let sums = covectors.sums(|_, _| 1.0);
                (*input, Covectors::All(Array2::from_shape_fn((sums.len(), wide), |(row, _)| sums[row] / by)))
            }
            Action::Part { input, start, .. } => {
                let mut all = Array2::zeros((covectors.rows(), self.width(*input)));
                for ((row, channel), x) in covectors.dense(width).indexed_iter() {
                    all.get_mut((row, channel + start)).into_iter().for_each(|all| *all = *x);
                }
                (*input, Covectors::All(all))
            }
            Action::Norm { input, centred, eps, weight, bias } => {
                if let Some(bias) = bias {
                    let bias = steps.channel_weight(*bias, width)?;
                    add(covectors.sums(|_, channel| bias.get(channel).copied().map_or(0.0, f64::from)));
                }
                let weight = weight.map(|id| steps.channel_weight(id, width)).transpose()?;
                let rows = known.get(input).ok_or_else(|| unfit("the input of a norm is unknown"))?;
                let back = norms::back(covectors.dense(width), rows, *centred, *eps, weight.as_deref());
                (*input, Covectors::All(back))
            }
            Action::Linear { input, weight, summed, bias } => {
                if let Some(bias) = bias {
                    let bias = steps.channel_weight(*bias, width)?;
                    add(covectors.sums(|_, channel| bias.get(channel).copied().map_or(0.0, f64::from)));
                }
                let weight = steps.constant(*weight)?.view().into_dimensionality::<Ix2>();
                let weight = weight.map_err(|_| unfit("a linear map's weight has not two axes"))?;
                (*input, Covectors::All(through(&covectors, weight, *summed, self.width(*input))?))
            }
            Action::Binary { kind, left, right, alpha } => {
                return self.arithmetic((*kind, *left, *right, *alpha), covectors, known, add);
            }
            Action::Unary(..) | Action::Variance { .. } => return Err(unfit("an operation is not linear")),
        };
        Ok(vec![one])
    }

    fn arithmetic(
        &self,
        (kind, left, right, alpha): (Binary, Operand, Operand, f64),
        covectors: Covectors,
        known: &BTreeMap<TensorId, Rows>,
        mut add: impl FnMut(Vec<f64>),
    ) -> Result<Vec<(TensorId, Covectors)>, LensError> {
        let affine = |side: Operand| match side {
            Operand::Rows(id) => Some(id).filter(|id| self.path.kinds.get(id) == Some(&Kind::Affine)),
            Operand::Constant(_) | Operand::Number(_) => None,
        };
        let mut found = Vec::new();
        if matches!(kind, Binary::Add | Binary::Subtract) {
            let sign = if kind == Binary::Add { alpha } else { -alpha };
            for (side, factor) in [(left, 1.0), (right, sign)] {
                match affine(side) {
                    Some(id) => {
                        found.push((id, self.narrowed(id, covectors.clone().map(|_, _, x| factor * x))));
                    }
                    None => {
                        let value = self.value(side, known)?;
                        add(covectors.sums(|row, channel| factor * value.at(row, channel)));
                    }
                }
            }
            return Ok(found);
        }
        let (Some(id), other) =
            (affine(left).or_else(|| affine(right)), if affine(left).is_some() { right } else { left })
        else {
            return Ok(found);
        };
        let value = self.value(other, known)?;
        let times = |x: f64, by: f64| if kind == Binary::Divide { x / (alpha * by) } else { x * alpha * by };
        found
            .push((id, self.narrowed(id, covectors.map(|row, channel, x| times(x, value.at(row, channel))))));
        Ok(found)
    }

    /// Covectors of a tensor that may have one channel where what is made of it has several.
    fn narrowed(&self, id: TensorId, covectors: Covectors) -> Covectors {
        match covectors {
            Covectors::All(all) if self.width(id) == 1 && all.ncols() != 1 => {
                Covectors::All(all.sum_axis(ndarray::Axis(1)).insert_axis(ndarray::Axis(1)))
            }
            Covectors::Few(rows) if self.width(id) == 1 => {
                let sum = |row: Vec<(usize, f64)>| vec![(0, row.iter().map(|(_, weight)| weight).sum())];
                Covectors::Few(rows.into_iter().map(sum).collect())
            }
            covectors => covectors,
        }
    }

    fn value<'k>(&self, side: Operand, known: &'k BTreeMap<TensorId, Rows>) -> Result<Value<'k>, LensError> {
        Ok(match side {
            Operand::Rows(id) => Value::Rows(known.get(&id).ok_or_else(|| unfit("a statistic is unknown"))?),
            Operand::Constant(_) | Operand::Number(_) => {
                Value::Channels(Steps { known: &self.constants }.vector(side)?)
            }
        })
    }
}

/// What stands beside an affine tensor.
enum Value<'k> {
    /// The same for all rows: one number, or one for each channel.
    Channels(Vec<f32>),
    Rows(&'k Rows),
}

impl Value<'_> {
    fn at(&self, row: usize, channel: usize) -> f64 {
        let found = match self {
            Self::Channels(all) if all.len() == 1 => all.first(),
            Self::Channels(all) => all.get(channel),
            Self::Rows(rows) => rows.get((row, if rows.ncols() == 1 { 0 } else { channel })),
        };
        found.copied().map_or(0.0, f64::from)
    }
}

/// The weights that an action uses.
fn weights_of(action: &Action) -> impl Iterator<Item = TensorId> {
    let constant = |side: &Operand| match side {
        Operand::Constant(id) => Some(*id),
        Operand::Rows(_) | Operand::Number(_) => None,
    };
    let [first, second] = match action {
        Action::Norm { weight, bias, .. } => [*weight, *bias],
        Action::Linear { weight, bias, .. } => [Some(*weight), *bias],
        Action::Binary { left, right, .. } => [constant(left), constant(right)],
        _ => [None, None],
    };
    first.into_iter().chain(second)
}

/// Covectors through a linear map, whose weight lies as `[out, in]` if `summed` is 1, else as `[in, out]`.
fn through(
    covectors: &Covectors,
    weight: ArrayView2<'_, f32>,
    summed: usize,
    width: usize,
) -> Result<Array2<f64>, LensError> {
    if weight.shape().get(summed) != Some(&width) {
        return Err(unfit("a linear map takes another width"));
    }
    let mut found = Array2::zeros((covectors.rows(), width));
    if summed == 0 {
        for ((weights, mut column), _) in weight.rows().into_iter().zip(found.columns_mut()).zip(0..width) {
            let sums = covectors.sums(|_, channel| weights.get(channel).copied().map_or(0.0, f64::from));
            column.iter_mut().zip(sums).for_each(|(all, sum)| *all = sum);
        }
        return Ok(found);
    }
    let mut add = |row: usize, channel: usize, by: f64| {
        if by != 0.0 && channel < weight.nrows() {
            let of_row = found.row_mut(row);
            of_row.into_iter().zip(weight.row(channel)).for_each(|(all, w)| *all += by * f64::from(*w));
        }
    };
    match covectors {
        Covectors::Few(rows) => {
            for (at, row) in rows.iter().enumerate() {
                row.iter().for_each(|(channel, by)| add(at, *channel, *by));
            }
        }
        Covectors::All(rows) => {
            for (channel, column) in rows.columns().into_iter().enumerate() {
                column.iter().enumerate().for_each(|(at, by)| add(at, channel, *by));
            }
        }
    }
    Ok(found)
}
