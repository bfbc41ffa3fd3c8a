//! Derivatives of many rows, some rows at a time: rows do not depend on each other.

use std::ops::Range;

use fmrai_core::experiment::{
    Axis, BenchError, Change, Edit, GradientPath, Gradients, Objective, PathGradients, Site, Variant,
};
use fmrai_core::graph::{Graph, Origin};
use fmrai_core::tensor::{TensorData, TensorValue};

use super::model_bench::ModelBench;

impl ModelBench<'_> {
    /// Differentiates as many rows at a time as the memory of the settings holds the record of, about.
    pub(super) fn differentiate_in_chunks(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        sites: &[Site],
    ) -> Result<Gradients, BenchError> {
        let mut made: Option<Gradients> = None;
        for rows in self.chunks(variant, objective) {
            let part = match self.differentiate(&part_of(variant, &rows)?, objective, sites) {
                // Nothing counts in these rows: only all of them together tell.
                Err(BenchError::Independent(_)) => return self.differentiate(variant, objective, sites),
                part => part?,
            };
            let Some(so_far) = &mut made else {
                made = Some(part);
                continue;
            };
            so_far.values.extend(part.values);
            append(&mut so_far.at, part.at, sites)?;
            append(&mut so_far.gradients, part.gradients, sites)?;
        }
        made.ok_or_else(|| BenchError::Pass("a variant has no rows".to_owned()))
    }

    /// The same along paths.
    pub(super) fn along_paths_in_chunks(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        paths: &[GradientPath],
    ) -> Result<PathGradients, BenchError> {
        let sites: Vec<Site> = paths.iter().map(|path| path.to.clone()).collect();
        let mut made: Option<PathGradients> = None;
        for rows in self.chunks(variant, objective) {
            let part = match self.along_paths(&part_of(variant, &rows)?, objective, paths) {
                Err(BenchError::Independent(_)) => return self.along_paths(variant, objective, paths),
                part => part?,
            };
            let Some(so_far) = &mut made else {
                made = Some(part);
                continue;
            };
            so_far.values.extend(part.values);
            append(&mut so_far.gradients, part.gradients, &sites)?;
        }
        made.ok_or_else(|| BenchError::Pass("a variant has no rows".to_owned()))
    }

    /// Rows that are differentiated together. A function may look at all rows of its variant, so then these stay together.
    fn chunks(&self, variant: &Variant, objective: &Objective) -> Vec<Range<usize>> {
        let all = variant.rows.len();
        let function = matches!(objective, Objective::Apply { .. })
            || variant.edits.iter().any(|edit| matches!(edit.change, Change::Apply(_)));
        let at_once = match self.record_bytes() {
            _ if function => all,
            0 => all,
            bytes => {
                usize::try_from(self.settings.gradient_memory / bytes).unwrap_or(all).clamp(1, all.max(1))
            }
        };
        // A pass of a fixed number of rows costs as much however few of them count.
        let at_once = self.fixed_rows().map_or(at_once, |fixed| at_once.max(fixed.min(all)));
        (0..all).step_by(at_once.max(1)).map(|start| start..all.min(start + at_once)).collect()
    }

    /// About the bytes that the record of one row holds: all that the operations of the recorded pass have made, by its rows.
    fn record_bytes(&self) -> u64 {
        let graph = self.graph();
        let made = graph.tensors().iter().filter(|node| {
            matches!(node.origin, Origin::Operation { .. }) && node.dtype.is_float() && !node.on_request
        });
        let bytes = made.map(|node| {
            let elements: i64 = node.shape.iter().product();
            u64::try_from(elements).unwrap_or(0) * node.dtype.size().unwrap_or(4) as u64
        });
        let rows = fmrai_core::structure::recorded_batch(graph).and_then(|rows| u64::try_from(rows).ok());
        bytes.sum::<u64>() / rows.unwrap_or(1).max(1)
    }
}

/// Some rows of a variant, with what its edits do to them.
fn part_of(variant: &Variant, rows: &Range<usize>) -> Result<Variant, BenchError> {
    if *rows == (0..variant.rows.len()) {
        return Ok(variant.clone());
    }
    let mut part = Variant::clean(&variant.rows[rows.clone()]);
    for edit in &variant.edits {
        let own: Vec<usize> = edit.rows.clone().unwrap_or_else(|| (0..variant.rows.len()).collect());
        let kept: Vec<usize> = (0..own.len()).filter(|at| rows.contains(&own[*at])).collect();
        if kept.is_empty() {
            continue;
        }
        let change = match &edit.change {
            Change::Clean(from) => Change::Clean(kept.iter().map(|at| from[*at]).collect()),
            Change::Set(value) => Change::Set(of_rows(value, &edit.site, &kept)?),
            Change::Add(value, strength) => Change::Add(of_rows(value, &edit.site, &kept)?, *strength),
            other => other.clone(),
        };
        let rows = Some(kept.iter().map(|at| own[*at] - rows.start).collect());
        part.edits.push(Edit { rows, change, ..edit.clone() });
    }
    Ok(part)
}

/// These rows of a value; all of it where it is the same for every row.
fn of_rows(value: &TensorValue, site: &Site, rows: &[usize]) -> Result<TensorValue, BenchError> {
    let axis = site.layout.axis(Axis::Row).unwrap_or(0);
    let shape = value.shape();
    if shape.get(axis).is_none_or(|size| *size == 1) {
        return Ok(value.clone());
    }
    let (outer, size, inner) = around(shape, axis);
    let form = (outer, size, inner);
    let data = match value.data() {
        TensorData::F32(data) => taken(data, rows, form).into(),
        TensorData::F64(data) => taken(data, rows, form).into(),
        TensorData::I64(data) => taken(data, rows, form).into(),
    };
    let mut shape = shape.to_vec();
    shape[axis] = rows.len();
    TensorValue::new(shape, data).map_err(|error| BenchError::Pass(error.to_string()))
}

/// Elements before, along and after an axis.
fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    (shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product())
}

/// Puts the rows of some values after those of others.
fn append(to: &mut [TensorValue], more: Vec<TensorValue>, sites: &[Site]) -> Result<(), BenchError> {
    for ((to, more), site) in to.iter_mut().zip(more).zip(sites) {
        let axis = site.layout.axis(Axis::Row).unwrap_or(0);
        let ((outer, size, inner), (_, added, _)) = (around(to.shape(), axis), around(more.shape(), axis));
        let (of_a, of_b) = (size * inner, added * inner);
        let data = match (to.data(), more.data()) {
            (TensorData::F32(a), TensorData::F32(b)) => joined(a, b, outer, of_a, of_b).into(),
            (TensorData::F64(a), TensorData::F64(b)) => joined(a, b, outer, of_a, of_b).into(),
            _ => return Err(BenchError::Pass("parts of a derivative differ in their type".to_owned())),
        };
        let mut shape = to.shape().to_vec();
        shape[axis] = size + added;
        *to = TensorValue::new(shape, data).map_err(|error| BenchError::Pass(error.to_string()))?;
    }
    Ok(())
}

fn taken<T: Copy>(data: &[T], rows: &[usize], (outer, size, inner): (usize, usize, usize)) -> Vec<T> {
    let row = |at: usize, row: usize| &data[(at * size + row) * inner..(at * size + row + 1) * inner];
    (0..outer).flat_map(|at| rows.iter().flat_map(move |one| row(at, *one)).copied()).collect()
}

fn joined<T: Copy>(a: &[T], b: &[T], outer: usize, of_a: usize, of_b: usize) -> Vec<T> {
    let each =
        |at: usize| a[at * of_a..(at + 1) * of_a].iter().chain(&b[at * of_b..(at + 1) * of_b]).copied();
    (0..outer).flat_map(each).collect()
}
