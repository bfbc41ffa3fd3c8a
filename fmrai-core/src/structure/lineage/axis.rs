//! One axis, as the parts that a reshape has merged.

use crate::graph::OperationId;

/// Where a part of an axis comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::structure) enum Label {
    /// Results of a linear map or a convolution, or what is looked up in a table: channels, and the heads they make.
    Channel,
    /// An axis of the model's input: batch, positions, places.
    Other,
    /// An axis of a parameter or constant.
    Table,
    /// The same elements repeated.
    Repeat,
    /// Nothing is known.
    Unknown,
    /// Rows of the product of two activations that this operation is.
    Row(OperationId),
    /// Its columns.
    Column(OperationId),
    /// The rows of the probabilities that this operation makes.
    Query(OperationId),
    /// The axis along which they sum to 1.
    Key(OperationId),
}

impl Label {
    /// Which of two labels of one axis says more.
    fn rank(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Repeat => 1,
            Self::Table => 2,
            Self::Other => 3,
            Self::Channel => 4,
            Self::Row(_) | Self::Column(_) => 5,
            Self::Query(_) | Self::Key(_) => 6,
        }
    }

    /// The product that it is a row (`false`) or a column (`true`) of.
    pub(in crate::structure) fn product(self) -> Option<(OperationId, bool)> {
        match self {
            Self::Row(product) => Some((product, false)),
            Self::Column(product) => Some((product, true)),
            _ => None,
        }
    }

    /// True for rows and columns of products.
    pub(super) fn of_product(self) -> bool {
        self.rank() > 4
    }
}

/// A part of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::structure) struct Factor {
    pub(in crate::structure) size: i64,
    pub(in crate::structure) label: Label,
}

/// An axis: its parts, the outermost first. Parts of one element are left out, but for rows and columns of products.
pub(in crate::structure) type Axis = Vec<Factor>;

/// An axis that is one part.
pub(super) fn single(size: i64, label: Label) -> Axis {
    if size == 1 && !label.of_product() { Axis::new() } else { vec![Factor { size, label }] }
}

/// Number of elements.
pub(in crate::structure) fn total(axis: &Axis) -> i64 {
    axis.iter().fold(1, |n, factor| n.saturating_mul(factor.size))
}

/// The one label of all parts, if they have the same.
pub(super) fn uniform(axis: &Axis) -> Option<Label> {
    let first = axis.first()?.label;
    axis.iter().all(|factor| factor.label == first).then_some(first)
}

/// The one label of an axis, of which no other axis has a part.
pub(super) fn whole(axes: &[Axis], at: usize) -> Option<Label> {
    let label = uniform(axes.get(at)?)?;
    let parts = axes.iter().filter(|axis| axis.iter().any(|factor| factor.label == label)).count();
    (parts == 1).then_some(label)
}

/// The axis cut or grown to `size` elements.
pub(super) fn resized(axis: &Axis, size: i64) -> Axis {
    if total(axis) == size {
        return axis.clone();
    }
    single(size, uniform(axis).unwrap_or(Label::Unknown))
}

/// Of two axes of one size the one that says more, part by part where they have the same parts.
pub(super) fn met(one: &Axis, other: &Axis) -> Axis {
    if one.is_empty() || total(one) == 1 && total(other) > 1 {
        return other.clone();
    }
    if other.is_empty() || total(other) == 1 && total(one) > 1 {
        return one.clone();
    }
    let same = one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.size == b.size);
    if same {
        let better = |(a, b): (&Factor, &Factor)| if b.label.rank() > a.label.rank() { *b } else { *a };
        return one.iter().zip(other).map(better).collect();
    }
    let best = |axis: &Axis| axis.iter().map(|f| f.label.rank()).max();
    if best(other) > best(one) { other.clone() } else { one.clone() }
}

/// The axes of `old` in row-major order as axes of these sizes.
pub(super) fn regrouped(old: &[Axis], sizes: &[i64]) -> Option<Vec<Axis>> {
    let all = |sizes: &mut dyn Iterator<Item = i64>| sizes.fold(1_i64, i64::saturating_mul);
    if all(&mut old.iter().map(total)) != all(&mut sizes.iter().copied()) || sizes.iter().any(|n| *n < 1) {
        return None;
    }
    // Neighbours of one kind are one: windows may be cut across places of an image.
    let mut left: Vec<Factor> = Vec::new();
    for factor in old.iter().flatten().rev() {
        match left.last_mut() {
            Some(next) if next.label == factor.label => next.size = next.size.checked_mul(factor.size)?,
            _ => left.push(*factor),
        }
    }
    let mut axes: Vec<Axis> = Vec::with_capacity(sizes.len());
    for &size in sizes {
        let mut axis = Axis::new();
        let mut rest = size;
        while rest > 1 {
            let factor = left.pop()?;
            if rest % factor.size == 0 {
                rest /= factor.size;
                axis.push(factor);
            } else if factor.size % rest == 0 {
                left.push(Factor { size: factor.size / rest, ..factor });
                axis.push(Factor { size: rest, ..factor });
                rest = 1;
            } else {
                return None;
            }
        }
        // A single row stays where it is.
        if size == 1 && axis.is_empty() && left.last().is_some_and(|f| f.size == 1) {
            axis.extend(left.pop());
        }
        axes.push(axis);
    }
    Some(axes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(size: i64) -> Axis {
        single(size, Label::Channel)
    }

    fn others(size: i64) -> Axis {
        single(size, Label::Other)
    }

    #[test]
    fn heads_are_split_off_channels_and_merged_with_the_batch() {
        let flat = [others(2), others(8), channels(32)];
        let apart = regrouped(&flat, &[2, 8, 4, 8]).unwrap();
        assert_eq!(apart, [others(2), others(8), channels(4), channels(8)]);
        let merged = [apart[0].clone(), apart[2].clone(), apart[1].clone(), apart[3].clone()];
        let merged = regrouped(&merged, &[8, 8, 8]).unwrap();
        assert_eq!(merged[0], [others(2), channels(4)].concat());
        let windows = regrouped(&flat, &[2, 2, 4, 4, 8]).unwrap();
        assert_eq!(windows, [others(2), others(2), others(4), channels(4), channels(8)]);
        assert_eq!(regrouped(&flat, &[5, 5]), None, "an impossible shape");
        assert_eq!(regrouped(&[others(6)], &[4, 1]), None, "fewer elements");
    }

    #[test]
    fn a_single_row_stays_a_row() {
        let scores = [others(2), channels(4), single(1, Label::Row(OperationId(7))), others(5)];
        let flat = regrouped(&scores, &[8, 1, 5]).unwrap();
        assert_eq!(flat[1], single(1, Label::Row(OperationId(7))));
    }

    #[test]
    fn the_label_that_says_more_stays() {
        let shared = single(4, Label::Repeat);
        assert_eq!(met(&shared, &channels(4)), channels(4));
        assert_eq!(met(&single(1, Label::Other), &channels(4)), channels(4));
        assert_eq!(met(&others(4), &single(4, Label::Table)), others(4));
    }
}
