//! Names of sequences, and which of them run in step.

use std::collections::BTreeSet;

use super::super::shape::elements;

/// A sequence along an axis: the axis holds its positions from `before` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) sequence: u32,
    /// Positions of the axis before the first one of the sequence; negative where the first ones were cut off.
    pub(super) before: i64,
}

/// A part of an axis: axes that were merged by a reshape are several, the outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Factor {
    pub(super) size: i64,
    pub(super) place: Option<Place>,
}

/// An axis of a tensor.
pub(super) type Axis = Vec<Factor>;

/// An axis of which nothing is known.
pub(super) fn bare(size: i64) -> Axis {
    vec![Factor { size, place: None }]
}

/// The one sequence of an axis that was not merged.
pub(super) fn single(axis: &Axis) -> Option<Place> {
    match axis.as_slice() {
        [factor] => factor.place,
        _ => None,
    }
}

pub(super) fn is_known(axes: &[Axis]) -> bool {
    axes.iter().flatten().any(|factor| factor.place.is_some())
}

/// The axes of `old` in row-major order as axes of these sizes; parts of a sequence that is cut get no place.
pub(super) fn regrouped(old: &[Axis], sizes: &[i64]) -> Vec<Axis> {
    let whole: Vec<i64> = old.iter().flatten().map(|f| f.size).collect();
    if elements(&whole) != elements(sizes) || elements(sizes) <= 0 {
        return sizes.iter().map(|size| bare(*size)).collect();
    }
    let mut factors: Vec<Factor> = old.iter().flatten().filter(|f| f.size != 1).copied().rev().collect();
    let mut axes = Vec::with_capacity(sizes.len());
    for &size in sizes {
        let mut axis = Axis::new();
        let mut left = size;
        while left > 1 {
            let Some(factor) = factors.pop() else { break };
            if factor.size > 0 && left % factor.size == 0 {
                left /= factor.size;
                axis.push(factor);
            } else if factor.size > 0 && factor.size % left == 0 {
                factors.push(Factor { size: factor.size / left, place: None });
                axis.push(Factor { size: left, place: None });
                left = 1;
            } else {
                return sizes.iter().map(|size| bare(*size)).collect();
            }
        }
        axes.push(if axis.is_empty() { bare(size) } else { axis });
    }
    axes
}

/// All sequences of a graph. Two that are added, compared or looked up element by element run in step.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    parent: Vec<u32>,
    /// Positions of each.
    size: Vec<i64>,
    /// The model's inputs that have it as axis 1 or as a later one, and as axis 0.
    inputs: Vec<BTreeSet<u32>>,
    batch: Vec<bool>,
}

impl Sequences {
    pub(super) fn add(&mut self, size: i64, input: Option<(u32, usize)>) -> Place {
        let sequence = u32::try_from(self.parent.len()).unwrap_or(u32::MAX);
        self.parent.push(sequence);
        self.size.push(size);
        self.inputs.push(input.filter(|(_, axis)| *axis > 0).map(|(input, _)| input).into_iter().collect());
        self.batch.push(input.is_some_and(|(_, axis)| axis == 0));
        Place { sequence, before: 0 }
    }

    pub(super) fn root(&self, mut sequence: u32) -> u32 {
        while let Some(&parent) = self.parent.get(sequence as usize) {
            if parent == sequence {
                break;
            }
            sequence = parent;
        }
        sequence
    }

    /// Notes that two sequences run in step.
    pub(super) fn join(&mut self, one: Place, other: Place) {
        let (a, b) = (self.root(one.sequence), self.root(other.sequence));
        let same = self.size.get(a as usize) == self.size.get(b as usize);
        // The batch is no sequence, and one that starts elsewhere is another one.
        if a == b || one.before != other.before || !same || self.is_batch(a) != self.is_batch(b) {
            return;
        }
        let (first, second) = (a.min(b), a.max(b));
        if let Some(parent) = self.parent.get_mut(second as usize) {
            *parent = first;
        }
        let moved = self.inputs.get_mut(second as usize).map(std::mem::take).unwrap_or_default();
        if let Some(inputs) = self.inputs.get_mut(first as usize) {
            inputs.extend(moved);
        }
    }

    pub(super) fn is_batch(&self, sequence: u32) -> bool {
        self.batch.get(self.root(sequence) as usize) == Some(&true)
    }

    pub(super) fn size(&self, sequence: u32) -> i64 {
        self.size.get(self.root(sequence) as usize).copied().unwrap_or(0)
    }

    /// The inputs whose positions they are.
    pub(super) fn inputs(&self, sequence: u32) -> impl Iterator<Item = u32> + '_ {
        self.inputs.get(self.root(sequence) as usize).into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(size: i64, sequence: Option<u32>) -> Factor {
        Factor { size, place: sequence.map(|sequence| Place { sequence, before: 0 }) }
    }

    #[test]
    fn reshapes_keep_what_they_do_not_cut() {
        let old = [vec![factor(2, Some(0))], vec![factor(6, Some(1))], bare(8)];
        let flat = regrouped(&old, &[12, 8]);
        assert_eq!(flat, [vec![factor(2, Some(0)), factor(6, Some(1))], bare(8)]);
        assert_eq!(
            regrouped(&flat, &[2, 6, 4, 2]),
            [vec![factor(2, Some(0))], vec![factor(6, Some(1))], bare(4), bare(2)]
        );
        assert_eq!(regrouped(&flat, &[2, 1, 6, 8])[2], vec![factor(6, Some(1))]);
        // Windows of three positions.
        assert_eq!(regrouped(&old, &[2, 2, 3, 8])[1..3], [bare(2), bare(3)]);
        assert_eq!(regrouped(&old, &[5, 5]), [bare(5), bare(5)], "an impossible shape");
    }
}
