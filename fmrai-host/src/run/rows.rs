//! Batches that had to be filled up: nobody sees the rows that were added.

use std::collections::BTreeMap;

use fmrai_core::graph::TensorId;
use fmrai_core::tensor::{DataView, TensorError, TensorView};
use fmrai_core::tracker::{Activations, CaptureRequest};

/// Largest difference, relative to the larger magnitude or 1, of rows that were computed from the same input.
const SAME: f64 = 1e-4;

/// The rows of the samples alone. The rows that were added repeat the last sample, so a tensor whose outermost axis is
/// the batch, or runs over heads or tokens batch by batch, repeats it as well: that is checked, and only then are
/// rows cut off. Other tensors are handed out whole where no axis can be the batch; otherwise they are an error.
pub(super) struct RealRows {
    inner: Box<dyn Activations>,
    shapes: BTreeMap<TensorId, Option<Vec<usize>>>,
    rows: usize,
}

impl RealRows {
    pub(super) fn of(
        inner: Box<dyn Activations>,
        request: &CaptureRequest,
        samples: usize,
        filler: usize,
    ) -> Self {
        let mut shapes = BTreeMap::new();
        for id in request.tensors() {
            if let Some(Ok(view)) = inner.tensor(id) {
                shapes.insert(id, real_shape(&view, samples, filler));
            }
        }
        Self { inner, shapes, rows: samples + filler }
    }
}

impl Activations for RealRows {
    fn tensor(&self, id: TensorId) -> Option<Result<TensorView<'_>, TensorError>> {
        let view = match self.inner.tensor(id)? {
            Ok(view) => view,
            Err(error) => return Some(Err(error)),
        };
        Some(match self.shapes.get(&id)? {
            Some(shape) => {
                let elements = shape.iter().product();
                TensorView::new(shape, first(view.data(), elements))
            }
            None => Err(TensorError::Shape {
                found: view.shape().to_vec(),
                needed: format!(
                    "the batch as the outermost axis: the model takes no fewer than {} rows, and those that fill up \
                     the last batch cannot be told from samples here",
                    self.rows
                ),
            }),
        })
    }
}

/// The shape without the rows that were added; `None` if they cannot be told.
fn real_shape(view: &TensorView<'_>, samples: usize, filler: usize) -> Option<Vec<usize>> {
    let rows = samples + filler;
    let may_be_batch = |size: &usize| *size > 0 && size.is_multiple_of(rows);
    let (first, inner) = view.shape().split_first()?;
    if !may_be_batch(first) {
        return (!inner.iter().any(may_be_batch)).then(|| view.shape().to_vec());
    }
    let block = view.data().len() / rows;
    let repeats = (samples..rows).all(|row| same(view.data(), (samples - 1) * block, row * block, block));
    repeats.then(|| {
        let mut shape = vec![first / rows * samples];
        shape.extend(inner);
        shape
    })
}

/// Elements from `a` on beside those from `b` on.
fn parts<T>(data: &[T], a: usize, b: usize, length: usize) -> impl Iterator<Item = (&T, &T)> {
    let part = |start: usize| data.get(start..start + length).unwrap_or_default();
    part(a).iter().zip(part(b))
}

/// True if the elements from `a` on and those from `b` on were computed from the same input.
fn same(data: DataView<'_>, a: usize, b: usize, length: usize) -> bool {
    let close =
        |x: f64, y: f64| x == y || x.is_nan() && y.is_nan() || (x - y).abs() <= SAME * x.abs().max(1.0);
    match data {
        DataView::F32(d) => parts(d, a, b, length).all(|(x, y)| close(f64::from(*x), f64::from(*y))),
        DataView::F64(d) => parts(d, a, b, length).all(|(x, y)| close(*x, *y)),
        DataView::I64(d) => parts(d, a, b, length).all(|(x, y)| x == y),
        DataView::I32(d) => parts(d, a, b, length).all(|(x, y)| x == y),
        DataView::U8(d) => parts(d, a, b, length).all(|(x, y)| x == y),
    }
}

fn first(data: DataView<'_>, elements: usize) -> DataView<'_> {
    match data {
        DataView::F32(d) => DataView::F32(d.get(..elements).unwrap_or(d)),
        DataView::F64(d) => DataView::F64(d.get(..elements).unwrap_or(d)),
        DataView::I64(d) => DataView::I64(d.get(..elements).unwrap_or(d)),
        DataView::I32(d) => DataView::I32(d.get(..elements).unwrap_or(d)),
        DataView::U8(d) => DataView::U8(d.get(..elements).unwrap_or(d)),
    }
}

#[cfg(test)]
mod tests {
    use fmrai_core::testing::MemoryActivations;

    use super::*;

    #[test]
    fn rows_that_were_added_are_cut_off_where_they_can_be_told() {
        let activations = MemoryActivations::new()
            .with_f32(TensorId(0), [3, 2], vec![1.0, 2.0, 3.0, 4.0, 3.0, 4.0])
            .unwrap()
            .with_f32(TensorId(1), [6, 1], vec![1.0, 2.0, 3.0, 4.0, 3.0, 4.00001])
            .unwrap()
            .with_f32(TensorId(2), [3, 1], vec![1.0, 2.0, 3.0])
            .unwrap()
            .with_f32(TensorId(3), [1, 2], vec![1.0, 2.0])
            .unwrap()
            .with_f32(TensorId(4), [1, 3], vec![1.0, 2.0, 2.0])
            .unwrap();
        let request = (0..5).map(TensorId).collect();
        let real = RealRows::of(Box::new(activations), &request, 2, 1);
        let read = |id| real.tensor(TensorId(id)).unwrap().map(|view| view.shape().to_vec());
        assert_eq!(read(0).unwrap(), [2, 2]);
        assert_eq!(read(1).unwrap(), [4, 1], "two heads for each row");
        assert_eq!(read(3).unwrap(), [1, 2], "no axis is the batch");
        let values = real.tensor(TensorId(0)).unwrap().unwrap();
        assert_eq!(values.f32().unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert!(read(2).unwrap_err().to_string().contains("the batch as the outermost axis"));
        assert!(read(4).is_err(), "the batch may be an inner axis");
        assert!(real.tensor(TensorId(9)).is_none());
    }
}
