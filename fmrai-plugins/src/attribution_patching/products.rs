//! Sums of gradients times differences.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::experiment::{Axis, Layout};
use fmrai_core::tensor::{TensorData, TensorValue};

/// Sums over everything but row, head and position: `[row, head, position]`.
pub(super) struct Products {
    heads: usize,
    positions: usize,
    sums: Vec<f64>,
}

/// `Σ gradient · (to − from)` of a site, over channels or keys. The three have the axes of the layout.
pub(super) fn products(
    layout: &Layout,
    gradient: &TensorValue,
    to: &TensorValue,
    from: &TensorValue,
) -> Result<Products, AnalyzerError> {
    let shape = gradient.shape();
    if to.shape() != shape || from.shape() != shape || shape.len() != layout.0.len() {
        return Err(AnalyzerError::Other(format!(
            "a gradient of shape {shape:?} for activations of shapes {:?} and {:?}",
            to.shape(),
            from.shape()
        )));
    }
    let size = |axis: Axis| layout.axis(axis).map_or(1, |at| shape[at]);
    let (heads, positions) = (size(Axis::Head), size(Axis::Position));
    let mut sums = vec![0.0; size(Axis::Row) * heads * positions];
    // How far each axis of the tensor goes in the sums.
    let steps: Vec<usize> = layout
        .0
        .iter()
        .map(|(axis, _)| match axis {
            Axis::Row => heads * positions,
            Axis::Head => positions,
            Axis::Position => 1,
            Axis::Key | Axis::Channel => 0,
        })
        .collect();
    let (gradient, to, from) = (numbers(gradient), numbers(to), numbers(from));
    let mut at = vec![0; shape.len()];
    let mut place = 0;
    for ((gradient, to), from) in gradient.zip(to).zip(from) {
        // Where nothing is attended to, scores are infinite in both runs and their difference is no number.
        let difference = to - from;
        if difference != 0.0 && gradient != 0.0 {
            sums[place] += gradient * difference;
        }
        for axis in (0..shape.len()).rev() {
            at[axis] += 1;
            place += steps[axis];
            if at[axis] < shape[axis] {
                break;
            }
            place -= steps[axis] * shape[axis];
            at[axis] = 0;
        }
    }
    Ok(Products { heads, positions, sums })
}

fn numbers(value: &TensorValue) -> Box<dyn Iterator<Item = f64> + '_> {
    match value.data() {
        TensorData::F32(data) => Box::new(data.iter().map(|x| f64::from(*x))),
        TensorData::F64(data) => Box::new(data.iter().copied()),
        TensorData::I64(data) => Box::new(data.iter().map(|x| *x as f64)),
    }
}

impl Products {
    /// The sum over these heads, all if there are none listed, and these positions of a row.
    pub(super) fn sum(&self, row: usize, heads: &[usize], positions: std::ops::Range<usize>) -> f64 {
        let of_head = |head: usize| {
            let start = (row * self.heads + head) * self.positions;
            let positions = positions.start.min(self.positions)..positions.end.min(self.positions);
            self.sums[start + positions.start..start + positions.end].iter().sum::<f64>()
        };
        if heads.is_empty() {
            (0..self.heads).map(of_head).sum()
        } else {
            heads.iter().filter(|head| **head < self.heads).map(|head| of_head(*head)).sum()
        }
    }
}

/// Adds one tensor to another, times a factor.
pub(super) fn add(into: &mut TensorValue, other: &TensorValue, factor: f64) -> Result<(), AnalyzerError> {
    let sum: Vec<f64> = numbers(into).zip(numbers(other)).map(|(a, b)| a + factor * b).collect();
    *into = TensorValue::new(into.shape().to_vec(), sum.into())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_by_row_head_and_position_wherever_these_stand() {
        // [row, head, channel, position], keys as some models have them.
        let mut layout = Layout::heads(2);
        layout.0.swap(2, 3);
        let numbers: Vec<f64> = (0..24).map(f64::from).collect();
        let gradient = TensorValue::new([2, 2, 3, 2], numbers.into()).unwrap();
        let ones = TensorValue::new([2, 2, 3, 2], vec![1.0; 24].into()).unwrap();
        let zeros = TensorValue::new([2, 2, 3, 2], vec![0.0; 24].into()).unwrap();
        let made = products(&layout, &gradient, &ones, &zeros).unwrap();
        assert_eq!(made.sum(0, &[0], 0..1), 0.0 + 2.0 + 4.0);
        assert_eq!(made.sum(1, &[1], 1..2), 19.0 + 21.0 + 23.0);
        assert_eq!(made.sum(0, &[], 0..9), (0..12).map(f64::from).sum::<f64>());
    }
}
