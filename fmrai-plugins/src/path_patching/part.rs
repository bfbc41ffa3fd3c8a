//! Parts of values.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::experiment::{Axis, Layout};
use fmrai_core::tensor::{TensorData, TensorValue};

/// Some heads of what a site holds; all of it where none are listed or the site has no heads.
pub(super) fn heads_of(
    value: TensorValue,
    layout: &Layout,
    heads: &[usize],
) -> Result<TensorValue, AnalyzerError> {
    let Some(axis) = layout.axis(Axis::Head).filter(|_| !heads.is_empty()) else { return Ok(value) };
    let mut shape = value.shape().to_vec();
    let count = shape.get(axis).copied().unwrap_or(0);
    if heads.iter().any(|head| *head >= count) {
        return Err(AnalyzerError::Other(format!("heads {heads:?} of a tensor with {count}")));
    }
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let data = match value.data() {
        TensorData::F32(data) => picked(data, outer, count, inner, heads).into(),
        TensorData::F64(data) => picked(data, outer, count, inner, heads).into(),
        TensorData::I64(data) => picked(data, outer, count, inner, heads).into(),
    };
    shape[axis] = heads.len();
    Ok(TensorValue::new(shape, data)?)
}

fn picked<T: Copy>(data: &[T], outer: usize, count: usize, inner: usize, heads: &[usize]) -> Vec<T> {
    let places = (0..outer).flat_map(|at| heads.iter().map(move |head| at * count + head));
    places.flat_map(|place| data[place * inner..(place + 1) * inner].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_taken_in_their_order() {
        // [row, head, position, channel]
        let value =
            TensorValue::new([2, 3, 1, 2], (0..12).map(f64::from).collect::<Vec<_>>().into()).unwrap();
        let taken = heads_of(value.clone(), &Layout::heads(3), &[0, 2]).unwrap();
        assert_eq!(taken.shape(), [2, 2, 1, 2]);
        assert_eq!(taken.f64().unwrap(), [0.0, 1.0, 4.0, 5.0, 6.0, 7.0, 10.0, 11.0]);
        assert_eq!(heads_of(value.clone(), &Layout::heads(3), &[]).unwrap(), value);
        assert!(heads_of(value, &Layout::heads(3), &[3]).is_err());
    }
}
