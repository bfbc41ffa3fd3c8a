//! Making edits in the tensors of a pass.

use std::rc::Rc;

use fmrai_core::experiment::{Axis, BenchError, Change, Edit, Layout, Site};

use super::clean_values::CleanValues;
use super::function::applied;
use super::value::{failed, seen, signed, tensor_of};
use crate::error::TorchError;
use crate::ffi::tensor::Tensor;
use crate::operation::call;

/// An edit of a variant whose rows stand somewhere in a packed pass.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) edit: Edit,
    /// Rows of the pass that are edited.
    pub(super) rows: Vec<usize>,
    /// The rows of the batch that they are.
    pub(super) from: Vec<usize>,
}

/// The tensor that goes on in place of `value`: the same with these edits.
pub(super) fn edited(
    value: &Tensor,
    edits: &[Placed],
    rows: usize,
    clean: &Rc<CleanValues>,
) -> Result<Tensor, BenchError> {
    let mut made: Option<(Tensor, Layout)> = None;
    for placed in edits {
        let site = &placed.edit.site;
        let all = match made.take() {
            Some((tensor, layout)) if layout == site.layout => tensor,
            other => {
                let from = other.as_ref().map_or(value, |(tensor, _)| tensor);
                let shaped = from.reshape(&value.size()).map_err(failed)?;
                let sizes = seen(site.place, &site.layout, value, rows)?;
                call("aten::clone", &[(&shaped.reshape(&sizes).map_err(failed)?).into()]).map_err(failed)?
            }
        };
        edit(&all, placed, clean)?;
        made = Some((all, site.layout.clone()));
    }
    let made = made.map_or_else(|| Ok(value.clone()), |(tensor, _)| tensor.reshape(&value.size()));
    made.map_err(failed)
}

/// Makes one edit in a tensor that is seen in the layout of its site.
fn edit(all: &Tensor, placed: &Placed, clean: &Rc<CleanValues>) -> Result<(), BenchError> {
    let Edit { site, part, change, .. } = &placed.edit;
    let wrong = |what: String| BenchError::Edit { place: site.place, what };
    let sizes = all.size();
    // The places along each axis, in runs of neighbours.
    let mut axes: Vec<(i64, Vec<(i64, i64)>)> = Vec::new();
    for (axis, places) in part {
        let at = site.layout.axis(*axis).ok_or_else(|| wrong(format!("there is no axis {axis:?} there")))?;
        let size = usize::try_from(sizes[at]).unwrap_or(0);
        if let Some(outside) = places.iter().find(|place| **place >= size) {
            return Err(wrong(format!("{axis:?} {outside} is outside: there are {size}")));
        }
        axes.push((at as i64, runs(places)));
    }
    let row_axis =
        site.layout.axis(Axis::Row).ok_or_else(|| wrong("its layout has no axis of rows".to_owned()))? as i64;
    match change {
        Change::Clean(from) => {
            let source = clean.tensor(site.place, &site.layout)?;
            for (row, from) in placed.rows.iter().zip(from) {
                let target = narrowed(all, row_axis, (*row as i64, 1)).map_err(failed)?;
                let source = narrowed(&source, row_axis, (*from as i64, 1)).map_err(failed)?;
                each_part(&target, &axes, &mut |target, at| {
                    let mut source = source.clone();
                    for (axis, run) in at {
                        source = narrowed(&source, *axis, *run)?;
                    }
                    copy(target, &source)
                })
                .map_err(failed)?;
            }
        }
        Change::Set(value) => {
            let value = tensor_of(value, all).map_err(failed)?;
            give(all, &value, (row_axis, &placed.rows), &axes, None).map_err(refused_by(&wrong))?;
        }
        Change::Add(value, strength) => {
            let value = tensor_of(value, all).map_err(failed)?;
            give(all, &value, (row_axis, &placed.rows), &axes, Some(*strength))
                .map_err(refused_by(&wrong))?;
        }
        Change::Apply(function) => {
            let part = gathered(all, row_axis, &placed.rows, part, site).map_err(failed)?;
            let value = applied(function, &part, &placed.from).map_err(&wrong)?;
            let value = value.to_dtype(all.dtype()).and_then(|value| value.to_device(all.device()));
            let value = value.map_err(failed)?;
            give(all, &value, (row_axis, &placed.rows), &axes, None).map_err(refused_by(&wrong))?;
        }
        Change::Zero | Change::Scale(_) => {
            let factor = if let Change::Scale(factor) = change { *factor } else { 0.0 };
            for run in runs(&placed.rows) {
                let target = narrowed(all, row_axis, run).map_err(failed)?;
                each_part(&target, &axes, &mut |target, _| match change {
                    // Not a product: what was infinite becomes 0, too.
                    Change::Zero => call("aten::zero_", &[target.into()]).map(|_| ()),
                    _ => call("aten::mul_.Scalar", &[target.into(), factor.into()]).map(|_| ()),
                })
                .map_err(failed)?;
            }
        }
        Change::Project(direction) => {
            let channel = site.layout.axis(Axis::Channel);
            let channel = channel.ok_or_else(|| wrong("there are no channels to project".to_owned()))?;
            let size = usize::try_from(sizes[channel]).unwrap_or(0);
            if channel + 1 != sizes.len() || direction.shape() != [size] {
                let found = direction.shape();
                return Err(wrong(format!(
                    "the direction has shape {found:?}, needed [{size}], the channels"
                )));
            }
            let direction = tensor_of(direction, all).map_err(failed)?;
            let unit = unit(&direction).map_err(failed)?;
            for run in runs(&placed.rows) {
                let target = narrowed(all, row_axis, run).map_err(failed)?;
                each_part(&target, &axes, &mut |target, _| {
                    let along = target.matmul(&unit)?;
                    let along = call("aten::unsqueeze", &[(&along).into(), (-1).into()])?;
                    let taken = call("aten::mul.Tensor", &[(&along).into(), (&unit).into()])?;
                    call("aten::sub_.Tensor", &[target.into(), (&taken).into()]).map(|_| ())
                })
                .map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Why a value is not given to a part.
enum Ungiven {
    /// It does not fit.
    Shape(String),
    Torch(TorchError),
}

impl From<TorchError> for Ungiven {
    fn from(error: TorchError) -> Self {
        Self::Torch(error)
    }
}

fn refused_by(wrong: &impl Fn(String) -> BenchError) -> impl Fn(Ungiven) -> BenchError + '_ {
    move |ungiven| match ungiven {
        Ungiven::Shape(what) => wrong(what),
        Ungiven::Torch(error) => failed(error),
    }
}

/// Gives a value to a part of a tensor, or adds it times a strength.
fn give(
    all: &Tensor,
    value: &Tensor,
    (row_axis, rows): (i64, &[usize]),
    axes: &Runs,
    strength: Option<f64>,
) -> Result<(), Ungiven> {
    fits(value, &lengths(&all.size(), row_axis, rows.len(), axes)).map_err(Ungiven::Shape)?;
    let mut row_start = 0;
    for (start, length) in runs(rows) {
        let target = narrowed(all, row_axis, (start, length))?;
        let value = along(value, row_axis, (row_start, length))?;
        row_start += length;
        each_offset(&target, axes, &value, &mut |target, value| match strength {
            Some(strength) => {
                call("aten::add_.Tensor", &[target.into(), value.into(), strength.into()]).map(|_| ())
            }
            None => copy(target, value),
        })?;
    }
    Ok(())
}

/// A copy of a part of a tensor.
fn gathered(
    all: &Tensor,
    row_axis: i64,
    rows: &[usize],
    part: &[(Axis, Vec<usize>)],
    site: &Site,
) -> Result<Tensor, TorchError> {
    let taken = |tensor: &Tensor, axis: i64, places: &[usize]| {
        let places: Vec<i64> = places.iter().map(|place| *place as i64).collect();
        let index = Tensor::from_slice(&places)?.to_device(tensor.device())?;
        call("aten::index_select", &[tensor.into(), axis.into(), (&index).into()])
    };
    let mut made = taken(all, row_axis, rows)?;
    for (axis, places) in part {
        if let Some(at) = site.layout.axis(*axis) {
            made = taken(&made, at as i64, places)?;
        }
    }
    Ok(made)
}

fn unit(direction: &Tensor) -> Result<Tensor, TorchError> {
    let norm = call("aten::linalg_vector_norm", &[direction.into()])?;
    call("aten::div.Tensor", &[direction.into(), (&norm).into()])
}

fn copy(target: &Tensor, source: &Tensor) -> Result<(), TorchError> {
    call("aten::copy_", &[target.into(), source.into()]).map(|_| ())
}

fn narrowed(tensor: &Tensor, axis: i64, (start, length): (i64, i64)) -> Result<Tensor, TorchError> {
    tensor.narrow(axis, start, length)
}

/// A part of a value along an axis; all of it where it is the same for every place.
fn along(value: &Tensor, axis: i64, run: (i64, i64)) -> Result<Tensor, TorchError> {
    let size = usize::try_from(axis).ok().and_then(|axis| value.size().get(axis).copied());
    if size == Some(1) { Ok(value.clone()) } else { narrowed(value, axis, run) }
}

/// Ascending places as runs of neighbours: `(start, length)`.
fn runs(places: &[usize]) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for place in places.iter().map(|place| *place as i64) {
        match runs.last_mut() {
            Some((start, length)) if *start + *length == place => *length += 1,
            _ => runs.push((place, 1)),
        }
    }
    runs
}

/// Runs of neighbouring places along each axis.
type Runs = [(i64, Vec<(i64, i64)>)];

/// What is done with a part of a tensor, and the run along each axis that it is made of.
type Act<'a> = dyn FnMut(&Tensor, &[(i64, (i64, i64))]) -> Result<(), TorchError> + 'a;

/// Calls `act` with each part of `target` that the runs make, and the runs it is made of.
fn each_part(target: &Tensor, axes: &Runs, act: &mut Act<'_>) -> Result<(), TorchError> {
    fn go(
        target: &Tensor,
        axes: &Runs,
        at: &mut Vec<(i64, (i64, i64))>,
        act: &mut Act<'_>,
    ) -> Result<(), TorchError> {
        let Some(((axis, runs), rest)) = axes.split_first() else { return act(target, at) };
        for run in runs {
            at.push((*axis, *run));
            go(&narrowed(target, *axis, *run)?, rest, at, act)?;
            at.pop();
        }
        Ok(())
    }
    go(target, axes, &mut Vec::new(), act)
}

/// The same with the part of a value that belongs to each part: its places along an axis are those of the runs, one after the other.
fn each_offset(
    target: &Tensor,
    axes: &Runs,
    value: &Tensor,
    act: &mut dyn FnMut(&Tensor, &Tensor) -> Result<(), TorchError>,
) -> Result<(), TorchError> {
    let Some(((axis, runs), rest)) = axes.split_first() else { return act(target, value) };
    let mut start = 0;
    for run in runs {
        let part = along(value, *axis, (start, run.1))?;
        start += run.1;
        each_offset(&narrowed(target, *axis, *run)?, rest, &part, act)?;
    }
    Ok(())
}

/// How long the edited part is along each axis.
fn lengths(sizes: &[i64], row_axis: i64, rows: usize, axes: &Runs) -> Vec<i64> {
    let mut lengths = sizes.to_vec();
    lengths[row_axis as usize] = signed(&[rows])[0];
    for (axis, runs) in axes {
        lengths[*axis as usize] = runs.iter().map(|(_, length)| length).sum();
    }
    lengths
}

/// What is wrong with the sizes of a value for a part of these lengths.
fn fits(value: &Tensor, lengths: &[i64]) -> Result<(), String> {
    let found = value.size();
    let fits = found.len() == lengths.len()
        && found.iter().zip(lengths).all(|(found, needed)| found == needed || *found == 1);
    if fits {
        Ok(())
    } else {
        Err(format!("the value has shape {found:?}, needed {lengths:?}, or 1 along any axis"))
    }
}
