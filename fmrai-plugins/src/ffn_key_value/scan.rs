//! One pass over the coefficients of a batch: sums of powers, and each text's largest and smallest.
//!
//! Rows are read as they lie in memory, a few at a time, and neurons are worked on in lanes. Powers are summed of the
//! distance `d` to the neuron's first coefficient of the batch. That one is part of the data, so it lies within `√n`
//! standard deviations of the mean, and the moments about the mean lose at most `log10 n` digits to it in `Σd²`, half as
//! many again in `Σd³`, of the 15 that `f64` has.

use std::ops::Range;

use fearless_simd::{Level, Simd, dispatch};

use super::moments::Moments;
use super::positions::Selection;
use crate::rows::Rows;

/// Neurons that are worked on together: what a thread has registers for.
const LANES: usize = 8;

/// Rows that are read together; their parts and the sums fit a first-level cache.
const ROWS: usize = 8;

/// What was found in a batch of a run of neurons.
#[derive(Debug, Clone, Default)]
pub(super) struct Scan {
    width: usize,
    /// The first coefficient.
    origin: Vec<f32>,
    /// Sums of `d`, `d²` and `d³`.
    sums: [Vec<f64>; 3],
    active: Vec<u32>,
    most: Extremes,
    /// Empty where coefficients cannot be below 0.
    least: Extremes,
}

/// `[text, neuron]`: the largest or smallest coefficient of a text, and its first place in the selection.
#[derive(Debug, Clone, Default)]
struct Extremes {
    size: Vec<f32>,
    at: Vec<u32>,
}

/// A text's extremes, by neuron.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// Coefficients above 0, or the size of those below; other numbers if there are none.
    pub(super) size: &'a [f32],
    /// Where they stand in the selection.
    pub(super) at: &'a [u32],
}

impl Extremes {
    fn clear(&mut self, cells: usize) {
        self.size.clear();
        self.size.resize(cells, f32::NEG_INFINITY);
        self.at.clear();
        self.at.resize(cells, 0);
    }

    fn rows(&self, width: usize) -> impl Iterator<Item = Row<'_>> {
        let rows = self.size.chunks_exact(width.max(1)).zip(self.at.chunks_exact(width.max(1)));
        rows.map(|(size, at)| Row { size, at })
    }
}

impl Scan {
    /// Reads the `width` neurons from `start` on at the positions of a selection, of which there is at least one.
    pub(super) fn read(
        &mut self,
        level: Level,
        (rows, gate): (&Rows<'_>, Option<&Rows<'_>>),
        selection: &Selection,
        (start, width): (usize, usize),
        two_sided: bool,
    ) {
        let neurons = start..start + width;
        let cells = selection.texts.len() * width;
        self.width = width;
        self.most.clear(cells);
        self.least.clear(if two_sided { cells } else { 0 });
        for sums in &mut self.sums {
            sums.clear();
            sums.resize(width, 0.0);
        }
        self.active.clear();
        self.active.resize(width, 0);
        self.origin.clear();
        let first =
            selection.at.first().map_or(&[][..], |at| rows.part(at.sample, at.position, neurons.clone()));
        self.origin.extend_from_slice(first);
        self.origin.resize(width, f32::NAN);
        let mut from = 0;
        for (text, &(_, end)) in selection.texts.iter().enumerate() {
            for first in (from..end).step_by(ROWS) {
                let block = first..(first + ROWS).min(end);
                let mut parts = [Parts::default(); ROWS];
                for (part, at) in parts.iter_mut().zip(&selection.at[block.clone()]) {
                    let row = rows.part(at.sample, at.position, neurons.clone());
                    *part = Parts {
                        row,
                        gate: gate.map_or(row, |gate| gate.part(at.sample, at.position, neurons.clone())),
                    };
                }
                let parts = &parts[..block.len()];
                let cells = text * width..(text + 1) * width;
                dispatch!(level, simd => self.block(simd, parts, first as u32, cells, two_sided));
            }
            from = end;
        }
    }

    #[inline(always)]
    fn block<S: Simd>(
        &mut self,
        _: S,
        parts: &[Parts<'_>],
        first: u32,
        cells: Range<usize>,
        two_sided: bool,
    ) {
        let whole = self.width / LANES * LANES;
        for column in (0..whole).step_by(LANES) {
            if two_sided {
                self.tile::<LANES, true>(parts, first, column, cells.start);
            } else {
                self.tile::<LANES, false>(parts, first, column, cells.start);
            }
        }
        for column in whole..self.width {
            if two_sided {
                self.tile::<1, true>(parts, first, column, cells.start);
            } else {
                self.tile::<1, false>(parts, first, column, cells.start);
            }
        }
    }

    /// `L` neurons of a few rows of one text, whose first place in the selection is `first`.
    #[inline(always)]
    fn tile<const L: usize, const BOTH: bool>(
        &mut self,
        parts: &[Parts<'_>],
        first: u32,
        column: usize,
        cells: usize,
    ) {
        let cell = cells + column;
        let [one, two, three] = &mut self.sums;
        let (one, two, three) =
            (lanes::<_, L>(one, column), lanes::<_, L>(two, column), lanes::<_, L>(three, column));
        let (Some(one), Some(two), Some(three)) = (one, two, three) else { return };
        let Some(active) = lanes::<_, L>(&mut self.active, column) else { return };
        let Some(origin) = self.origin.get(column..).and_then(|o| o.first_chunk::<L>()) else { return };
        let most = lanes::<_, L>(&mut self.most.size, cell);
        let (Some(most), Some(most_at)) = (most, lanes::<_, L>(&mut self.most.at, cell)) else { return };
        let (mut none, mut none_at) = ([0.0; L], [0; L]);
        let (least, least_at) = if BOTH {
            let least = lanes::<_, L>(&mut self.least.size, cell);
            let (Some(least), Some(at)) = (least, lanes::<_, L>(&mut self.least.at, cell)) else { return };
            (least, at)
        } else {
            (&mut none, &mut none_at)
        };
        let origin = origin.map(f64::from);
        let (mut s1, mut s2, mut s3, mut open) = (*one, *two, *three, *active);
        let (mut high, mut high_at, mut low, mut low_at) = (*most, *most_at, *least, *least_at);
        for (place, part) in (first..).zip(parts) {
            let row = part.row.get(column..).and_then(|r| r.first_chunk::<L>());
            let gate = part.gate.get(column..).and_then(|g| g.first_chunk::<L>());
            let (Some(x), Some(gate)) = (row, gate) else { return };
            for l in 0..L {
                let d = f64::from(x[l]) - origin[l];
                let square = d * d;
                s1[l] += d;
                s2[l] += square;
                s3[l] += square * d;
                open[l] += u32::from(gate[l] > 0.0);
            }
            for l in 0..L {
                high_at[l] = if x[l] > high[l] { place } else { high_at[l] };
                high[l] = if x[l] > high[l] { x[l] } else { high[l] };
            }
            if BOTH {
                for l in 0..L {
                    low_at[l] = if -x[l] > low[l] { place } else { low_at[l] };
                    low[l] = if -x[l] > low[l] { -x[l] } else { low[l] };
                }
            }
        }
        (*one, *two, *three, *active) = (s1, s2, s3, open);
        (*most, *most_at, *least, *least_at) = (high, high_at, low, low_at);
    }

    /// Mean and sums about it, of `n` coefficients of each neuron; NaN or infinite if a coefficient was.
    pub(super) fn moments(&self, n: usize) -> Moments {
        let n = n as f64;
        let [s1, s2, s3] = &self.sums;
        let sums = || s1.iter().zip(s2).zip(s3);
        let mean = self.origin.iter().zip(s1).map(|(&o, s1)| f64::from(o) + s1 / n).collect();
        // Rounding can make an empty sum of squares negative; of NaN, `max` would make 0.
        let m2 = |((s1, s2), _): ((&f64, &f64), _)| {
            let m2 = s2 - s1 * s1 / n;
            if m2 < 0.0 { 0.0 } else { m2 }
        };
        let m3 = |((s1, s2), s3): ((&f64, &f64), &f64)| s3 - 3.0 * s1 * s2 / n + 2.0 * s1 * s1 * s1 / (n * n);
        let active = self.active.iter().map(|&n| u64::from(n)).collect();
        Moments { mean, m2: sums().map(m2).collect(), m3: sums().map(m3).collect(), active }
    }

    /// The largest coefficients, text by text.
    pub(super) fn most(&self) -> impl Iterator<Item = Row<'_>> {
        self.most.rows(self.width)
    }

    /// The smallest coefficients with the other sign, text by text.
    pub(super) fn least(&self) -> impl Iterator<Item = Row<'_>> {
        self.least.rows(self.width)
    }
}

/// A row of coefficients, and what decides whether they are active.
#[derive(Debug, Clone, Copy, Default)]
struct Parts<'a> {
    row: &'a [f32],
    gate: &'a [f32],
}

#[inline(always)]
fn lanes<T, const L: usize>(all: &mut [T], from: usize) -> Option<&mut [T; L]> {
    all.get_mut(from..)?.first_chunk_mut()
}
