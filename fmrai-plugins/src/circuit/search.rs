//! The smallest circuit that is faithful enough, by looking between sizes that are known.

use std::collections::BTreeMap;

/// Sizes that are measured in one sweep.
const AT_ONCE: usize = 8;

/// Sizes with their faithfulness. Those of no edges and of all edges are known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    sizes: BTreeMap<usize, f64>,
    target: f64,
}

impl Known {
    pub(super) fn new(edges: usize, target: f64) -> Self {
        Self { sizes: BTreeMap::from([(0, 0.0), (edges, 1.0)]), target }
    }

    pub(super) fn add(&mut self, size: usize, faithfulness: f64) {
        self.sizes.insert(size, faithfulness);
    }

    /// The largest size below the first one that is faithful enough, and that one.
    fn bracket(&self) -> Option<(usize, usize)> {
        let high = self.sizes.iter().find(|(_, faithfulness)| **faithfulness >= self.target)?.0;
        let low = self.sizes.range(..high).next_back().map_or(0, |(size, _)| *size);
        Some((low, *high))
    }

    /// The smallest known size that is faithful enough, with its faithfulness; `None` where none is.
    pub(super) fn smallest(&self) -> Option<(usize, f64)> {
        let (_, high) = self.bracket()?;
        self.sizes.get(&high).map(|faithfulness| (high, *faithfulness))
    }

    /// What to measure next; nothing where neighbours are known.
    pub(super) fn next(&self) -> Vec<usize> {
        let Some((low, high)) = self.bracket() else { return Vec::new() };
        let inner = (high - low).saturating_sub(1);
        let count = inner.min(AT_ONCE);
        let mut sizes: Vec<usize> =
            (1..=count).map(|step| low + (step * (high - low)).div_ceil(count + 1)).collect();
        sizes.retain(|size| *size > low && *size < high);
        sizes.dedup();
        sizes
    }
}

/// How many sweeps it takes at most, from these sizes on.
pub(super) fn sweeps(sizes: &[usize], edges: usize) -> usize {
    let mut known: Vec<usize> = sizes.iter().copied().chain([0, edges]).collect();
    known.sort_unstable();
    let mut gap = known.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    let mut sweeps = 0;
    while gap > 1 {
        gap = gap.div_ceil((gap - 1).min(AT_ONCE) + 1);
        sweeps += 1;
    }
    sweeps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_size_is_found_in_as_many_sweeps_as_were_told() {
        for edges in [1, 2, 9, 110, 32491] {
            let sizes = [edges / 100, edges / 10];
            for needed in
                [1, 2, edges / 3, edges / 2 + 1, edges].into_iter().filter(|n| (1..=edges).contains(n))
            {
                let of = |size: usize| if size >= needed { 0.9 } else { 0.5 };
                let mut known = Known::new(edges, 0.85);
                sizes.iter().filter(|size| **size > 0).for_each(|size| known.add(*size, of(*size)));
                for _ in 0..sweeps(&sizes, edges) {
                    known.next().into_iter().for_each(|size| known.add(size, of(size)));
                }
                assert!(known.next().is_empty(), "{edges} {needed}");
                assert_eq!(known.smallest().map(|(size, _)| size), Some(needed));
            }
        }
        let mut known = Known::new(10, 1.5);
        known.add(5, f64::NAN);
        assert_eq!((known.smallest(), known.next()), (None, vec![]));
    }
}
