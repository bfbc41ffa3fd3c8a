//! What is kept of a run of neurons, and how a batch is taken in.
//!
//! A batch is read in two steps, so that one with NaN in it leaves nothing behind: [`Shard::read`] finds the moments of
//! the batch and each text's largest and smallest coefficient, [`Shard::commit`] takes them in. Neurons lie next to each
//! other in memory and are worked on in lanes; only coefficients that reach a neuron's threshold are looked at singly.
//! Each neuron belongs to one shard and is summed in one order, so results do not depend on the number of threads.

use fearless_simd::{Level, Simd, dispatch};
use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Sample;

use super::layout::Block;
use super::moments::Moments;
use super::positions::{Rows, Selection};
use super::triggers::{Trigger, Triggers};

/// Neurons of a shard: enough work for a thread, and few enough to stay in its cache.
const WIDTH: usize = 256;

/// Neurons that are worked on together.
const LANES: usize = 16;

/// The coefficients of one layer over a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayerBatch<'a> {
    pub(super) rows: Rows<'a>,
    /// What the function takes, in a gated block.
    pub(super) gate: Option<Rows<'a>>,
    pub(super) selection: &'a Selection,
    pub(super) samples: &'a [Sample],
}

/// A run of neurons of one layer.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    pub(super) layer: usize,
    /// First neuron within the layer.
    pub(super) start: usize,
    pub(super) width: usize,
    pub(super) moments: Moments,
    pub(super) positive: Triggers,
    /// Triggers of the other sign, by size.
    pub(super) negative: Option<Triggers>,
    scratch: Scratch,
}

/// What was found in the batch that is being read.
#[derive(Debug, Clone, Default)]
struct Scratch {
    moments: Moments,
    /// `[text, neuron]`: largest coefficient, and its place in the selection.
    most: Vec<(f32, u32)>,
    /// The same of the smallest.
    least: Vec<(f32, u32)>,
}

/// The neurons of all blocks, in shards.
pub(super) fn shards(blocks: &[Block], triggers: usize) -> Vec<Shard> {
    let mut shards = Vec::new();
    for (layer, block) in blocks.iter().enumerate() {
        for start in (0..block.neurons).step_by(WIDTH) {
            let width = WIDTH.min(block.neurons - start);
            shards.push(Shard {
                layer,
                start,
                width,
                moments: Moments::new(width),
                positive: Triggers::new(width, triggers),
                negative: block.two_sided.then(|| Triggers::new(width, triggers)),
                scratch: Scratch::default(),
            });
        }
    }
    shards
}

impl Shard {
    /// Reads the neurons' coefficients in a batch, without taking them in.
    pub(super) fn read(&mut self, level: Level, batch: &LayerBatch<'_>) -> Result<(), AnalyzerError> {
        let scratch = &mut self.scratch;
        let cells = batch.selection.texts.len() * self.width;
        scratch.most.resize(cells, (0.0, 0));
        scratch.least.resize(if self.negative.is_some() { cells } else { 0 }, (0.0, 0));
        for sums in [&mut scratch.moments.mean, &mut scratch.moments.m2, &mut scratch.moments.m3] {
            sums.resize(self.width, 0.0);
        }
        scratch.moments.active.resize(self.width, 0);
        let (width, start) = (self.width, self.start);
        dispatch!(level, simd => read(simd, batch, start, width, scratch));
        if scratch.moments.m3.iter().all(|m3| m3.is_finite()) {
            return Ok(());
        }
        Err(not_finite(batch, self.layer))
    }

    /// Takes in what [`read`](Self::read) has found, after `n` coefficients of each neuron.
    pub(super) fn commit(&mut self, n: u64, batch: &LayerBatch<'_>) {
        let Self { scratch, moments, positive, negative, width, .. } = self;
        moments.merge(n, &scratch.moments, batch.selection.at.len() as u64);
        offer(positive, &scratch.most, *width, batch, |x| x);
        if let Some(negative) = negative {
            offer(negative, &scratch.least, *width, batch, |x| -x);
        }
    }
}

fn offer(
    triggers: &mut Triggers,
    found: &[(f32, u32)],
    width: usize,
    batch: &LayerBatch<'_>,
    size: impl Fn(f32) -> f32,
) {
    for (row, &(sample, _)) in found.chunks_exact(width).zip(&batch.selection.texts) {
        let Some(text) = batch.samples.get(sample).map(|s| s.id) else { continue };
        for (neuron, &(x, at)) in row.iter().enumerate() {
            let size = size(x);
            if triggers.thresholds().get(neuron).is_some_and(|&least| size >= least) {
                let position = batch.selection.at.get(at as usize).map_or(0, |p| p.token);
                triggers.offer(neuron, Trigger { size, text, position });
            }
        }
    }
}

#[inline(always)]
fn read<S: Simd>(_: S, batch: &LayerBatch<'_>, start: usize, width: usize, scratch: &mut Scratch) {
    let whole = width / LANES * LANES;
    for column in (0..whole).step_by(LANES) {
        tile::<LANES>(batch, start, column, width, scratch);
    }
    for column in whole..width {
        tile::<1>(batch, start, column, width, scratch);
    }
}

/// The neurons `start + column ..` of `L` lanes.
#[inline(always)]
fn tile<const L: usize>(
    batch: &LayerBatch<'_>,
    start: usize,
    column: usize,
    width: usize,
    scratch: &mut Scratch,
) {
    let Selection { at, texts } = batch.selection;
    let lanes = |rows: &Rows<'_>, i: usize| -> [f32; L] {
        let at = at[i];
        let from = (at.sample * rows.positions + at.position) * rows.width + start + column;
        rows.data.get(from..).and_then(|row| row.first_chunk()).copied().unwrap_or([f32::NAN; L])
    };
    let two_sided = !scratch.least.is_empty();
    let mut sum = [0.0_f64; L];
    let mut active = [0_u32; L];
    let mut from = 0;
    for (text, &(_, end)) in texts.iter().enumerate() {
        let (mut most, mut least) = ([f32::NEG_INFINITY; L], [f32::INFINITY; L]);
        let (mut most_at, mut least_at) = ([0_u32; L], [0_u32; L]);
        for i in from..end {
            let x = lanes(&batch.rows, i);
            let place = i as u32;
            for l in 0..L {
                sum[l] += f64::from(x[l]);
                active[l] += u32::from(x[l] > 0.0);
                most_at[l] = if x[l] > most[l] { place } else { most_at[l] };
                most[l] = if x[l] > most[l] { x[l] } else { most[l] };
            }
            if two_sided {
                for l in 0..L {
                    least_at[l] = if x[l] < least[l] { place } else { least_at[l] };
                    least[l] = if x[l] < least[l] { x[l] } else { least[l] };
                }
            }
        }
        from = end;
        let cells = text * width + column..text * width + column + L;
        for (l, cell) in scratch.most[cells.clone()].iter_mut().enumerate() {
            *cell = (most[l], most_at[l]);
        }
        if two_sided {
            for (l, cell) in scratch.least[cells].iter_mut().enumerate() {
                *cell = (least[l], least_at[l]);
            }
        }
    }
    if let Some(gate) = &batch.gate {
        active = [0; L];
        for i in 0..at.len() {
            let g = lanes(gate, i);
            for l in 0..L {
                active[l] += u32::from(g[l] > 0.0);
            }
        }
    }
    let mean = sum.map(|s| s / at.len() as f64);
    let (mut m2, mut m3) = ([0.0_f64; L], [0.0_f64; L]);
    for i in 0..at.len() {
        let x = lanes(&batch.rows, i);
        for l in 0..L {
            let d = f64::from(x[l]) - mean[l];
            let square = d * d;
            m2[l] += square;
            m3[l] += square * d;
        }
    }
    let moments = &mut scratch.moments;
    moments.mean[column..column + L].copy_from_slice(&mean);
    moments.m2[column..column + L].copy_from_slice(&m2);
    moments.m3[column..column + L].copy_from_slice(&m3);
    for (all, active) in moments.active[column..column + L].iter_mut().zip(active) {
        *all = u64::from(active);
    }
}

/// Where the first coefficients that are no numbers stand.
fn not_finite(batch: &LayerBatch<'_>, layer: usize) -> AnalyzerError {
    let count = |row: &[f32]| row.iter().filter(|x| !x.is_finite()).count();
    let what = format!("memory coefficients of layer {layer}");
    for (text, sample) in batch.samples.iter().enumerate() {
        let at = batch.selection.at.iter().filter(|at| at.sample == text);
        let count: usize = at.map(|at| count(batch.rows.row(*at))).sum();
        if count > 0 {
            return AnalyzerError::NotFinite { what, count, sample: sample.id };
        }
    }
    AnalyzerError::Other(format!("{what} are too large to be summed"))
}
