//! From what a site holds to one number for each row.

use std::ops::Range;

use fmrai_core::experiment::{Axis, BenchError, Element, Function, Objective, Site};
use fmrai_core::tensor::DType;

use super::function::applied;
use super::value::{failed, seen};
use crate::ffi::tensor::Tensor;
use crate::operation::call;

/// An objective about a site for each row of a pass, `[row]` in float64.
///
/// `tensor` is what the site holds there; `rows` has the row of the batch for each row of the pass, `variants` the rows of each variant in it.
pub(super) fn of_site(
    objective: &Objective,
    tensor: &Tensor,
    rows: &[usize],
    variants: &[Range<usize>],
) -> Result<Tensor, BenchError> {
    match objective {
        Objective::Elements { site, rows: elements } => weighted(site, elements, tensor, rows),
        Objective::Apply { site, function } => told(site, function, tensor, rows, variants),
        Objective::Logits { .. } => Err(BenchError::Objective("it is about logits".to_owned())),
    }
}

fn row_axis(site: &Site) -> Result<usize, BenchError> {
    let none = || BenchError::Objective(format!("the layout of {} has no axis of rows", site.place));
    site.layout.axis(Axis::Row).ok_or_else(none)
}

fn weighted(
    site: &Site,
    elements: &[Vec<Element>],
    tensor: &Tensor,
    rows: &[usize],
) -> Result<Tensor, BenchError> {
    let sizes = seen(site.place, &site.layout, tensor, rows.len())?;
    let row_axis = row_axis(site)?;
    let (mut index, mut weights, mut of_row) = (Vec::new(), Vec::new(), Vec::new());
    for (row, from) in rows.iter().enumerate() {
        for element in &elements[*from] {
            let mut at = element.at.iter();
            let mut flat = 0_i64;
            for (axis, size) in sizes.iter().enumerate() {
                let place = if axis == row_axis { Some(row) } else { at.next().copied() };
                let place = place.and_then(|place| i64::try_from(place).ok()).unwrap_or(i64::MAX);
                if place >= *size {
                    let (axis, what) = (site.layout.0[axis].0, site.place);
                    return Err(BenchError::Objective(format!(
                        "it is about {axis:?} {place} of {what}, there are {size}"
                    )));
                }
                flat = flat * size + place;
            }
            index.push(flat);
            weights.push(element.weight);
            of_row.push(row as i64);
        }
    }
    let made = || {
        let device = tensor.device();
        let [index, of_row] = [&index, &of_row].map(|all| Tensor::from_slice(all)?.to_device(device));
        let weights = Tensor::from_slice(&weights)?.to_device(device)?;
        let picked =
            call("aten::index_select", &[(&tensor.reshape(&[-1])?).into(), 0.into(), (&index?).into()])?;
        let picked = picked.to_dtype(DType::Float64)?;
        let weighted = call("aten::mul.Tensor", &[(&picked).into(), (&weights).into()])?;
        let zeros = Tensor::zeros(&[rows.len() as i64], DType::Float64)?.to_device(device)?;
        call("aten::index_add", &[(&zeros).into(), 0.into(), (&of_row?).into(), (&weighted).into()])
    };
    made().map_err(failed)
}

fn told(
    site: &Site,
    function: &Function,
    tensor: &Tensor,
    rows: &[usize],
    variants: &[Range<usize>],
) -> Result<Tensor, BenchError> {
    let sizes = seen(site.place, &site.layout, tensor, rows.len())?;
    let axis = row_axis(site)? as i64;
    let all = tensor.reshape(&sizes).map_err(failed)?;
    let mut parts = Vec::with_capacity(variants.len() + 1);
    for own in variants {
        let (start, count) = (own.start as i64, own.len() as i64);
        // A copy: the function may write to what it is given.
        let part = all.narrow(axis, start, count).and_then(|part| call("aten::clone", &[(&part).into()]));
        let told = applied(function, &part.map_err(failed)?, &rows[own.clone()]);
        let told = told.map_err(|what| BenchError::Objective(format!("{}: {what}", site.place)))?;
        if told.numel() != own.len() {
            let shape = told.shape();
            return Err(BenchError::Objective(format!(
                "its function gives a tensor of shape {shape:?}, needed one number for each of {count} rows"
            )));
        }
        let numbers = told.reshape(&[count]).and_then(|told| told.to_dtype(DType::Float64));
        parts.push(numbers.and_then(|told| told.to_device(tensor.device())).map_err(failed)?);
    }
    let told = variants.last().map_or(0, |own| own.end);
    let filler = Tensor::zeros(&[(rows.len() - told) as i64], DType::Float64);
    parts.push(filler.and_then(|filler| filler.to_device(tensor.device())).map_err(failed)?);
    Tensor::cat(&parts.iter().collect::<Vec<_>>(), 0).map_err(failed)
}
