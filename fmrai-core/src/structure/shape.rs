//! Arithmetic on shapes. It saturates: shapes may come from a file.

use crate::graph::{Graph, TensorId};

/// The executed shape of a tensor.
pub(super) fn of(graph: &dyn Graph, id: TensorId) -> Option<&[i64]> {
    graph.tensor(id).map(|t| t.shape.as_slice())
}

/// Number of elements.
pub(super) fn elements(shape: &[i64]) -> i64 {
    shape.iter().fold(1, |n, size| n.saturating_mul(*size))
}

/// The axes before the last two.
pub(super) fn leading(shape: &[i64]) -> Option<&[i64]> {
    shape.split_last_chunk::<2>().map(|(leading, _)| leading)
}

/// The axes between the first and the last two.
pub(super) fn inner(shape: &[i64]) -> &[i64] {
    leading(shape).and_then(|s| s.get(1..)).unwrap_or(&[])
}

/// An axis counted from the front.
pub(super) fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis + rank } else { axis };
    usize::try_from(axis).ok().filter(|a| i64::try_from(*a).is_ok_and(|a| a < rank))
}
