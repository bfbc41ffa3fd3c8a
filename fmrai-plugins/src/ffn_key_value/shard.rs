//! What is kept of a run of neurons, and how a batch is taken in.
//!
//! A batch is read in two steps, so that one with NaN in it leaves nothing behind: [`Shard::read`] finds the moments of
//! the batch and each text's largest and smallest coefficient, [`Shard::commit`] takes them in. Only coefficients that reach
//! a neuron's threshold are looked at singly. Each neuron belongs to one shard and is summed in one order, so results do
//! not depend on the number of threads.

use fearless_simd::Level;
use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Sample;

use super::config::FfnKeyValueConfig;
use super::contexts::{self, Contexts, Window};
use super::layout::Block;
use super::moments::Moments;
use super::positions::Selection;
use super::scan::{Row, Scan};
use super::sign::Sign;
use super::triggers::{Trigger, Triggers};
use crate::rows::Rows;

/// Neurons of a shard: enough work for a thread, and few enough to stay in its cache.
const WIDTH: usize = 256;

/// Bytes of a trigger in its list.
const TRIGGER: usize = size_of::<f32>() + size_of::<u64>() + size_of::<u32>();

/// Bytes of a trigger in what is told of it: eight columns of a relation, and three of tensors.
const TOLD: usize = 10 * size_of::<i64>() + size_of::<f32>();

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
    pub(super) positive: Lists,
    /// True if what is below 0 lies at the floor of the function, and is no trigger for reports.
    floor: bool,
    /// Triggers of the other sign, by size.
    pub(super) negative: Option<Lists>,
    /// What was found in the batch that is being read.
    scan: Scan,
    found: Moments,
}

/// The triggers of a sign, and what stands around the strongest of them.
#[derive(Debug, Clone)]
pub(super) struct Lists {
    pub(super) triggers: Triggers,
    pub(super) contexts: Contexts,
}

impl Lists {
    fn new(neurons: usize, config: &FfnKeyValueConfig) -> Self {
        Self {
            triggers: Triggers::new(neurons, config.triggers),
            contexts: Contexts::new(neurons, config.contexts.min(config.triggers)),
        }
    }
}

/// The neurons of all blocks, in shards.
pub(super) fn shards(blocks: &[Block], config: &FfnKeyValueConfig) -> Vec<Shard> {
    let mut shards = Vec::new();
    for (layer, block) in blocks.iter().enumerate() {
        for start in (0..block.neurons).step_by(WIDTH) {
            let width = WIDTH.min(block.neurons - start);
            shards.push(Shard {
                layer,
                start,
                width,
                moments: Moments::new(width),
                positive: Lists::new(width, config),
                floor: block.floor,
                negative: block.two_sided.then(|| Lists::new(width, config)),
                scan: Scan::default(),
                found: Moments::default(),
            });
        }
    }
    shards
}

impl Shard {
    /// Reads the neurons' coefficients in a batch, without taking them in.
    pub(super) fn read(&mut self, level: Level, batch: &LayerBatch<'_>) -> Result<(), AnalyzerError> {
        let neurons = (self.start, self.width);
        let rows = (&batch.rows, batch.gate.as_ref());
        self.scan.read(level, rows, batch.selection, neurons, self.negative.is_some());
        self.found = self.scan.moments(batch.selection.at.len());
        if self.found.m3.iter().all(|m3| m3.is_finite()) {
            return Ok(());
        }
        Err(not_finite(batch, self.layer))
    }

    /// Takes in what [`read`](Self::read) has found, after `n` coefficients of each neuron.
    pub(super) fn commit(&mut self, n: u64, batch: &LayerBatch<'_>) {
        self.moments.merge(n, &self.found, batch.selection.at.len() as u64);
        offer(&mut self.positive, self.scan.most(), batch, self.start);
        if let Some(negative) = &mut self.negative {
            offer(negative, self.scan.least(), batch, self.start);
        }
    }

    /// The lists of a sign; `None` where coefficients have only the other.
    pub(super) fn lists(&self, sign: Sign) -> Option<&Lists> {
        match sign {
            Sign::Positive => Some(&self.positive),
            Sign::Negative => self.negative.as_ref(),
        }
    }

    /// The triggers of a neuron, strongest first.
    pub(super) fn triggers(&self, sign: Sign, neuron: usize) -> Vec<Trigger> {
        self.lists(sign).map_or_else(Vec::new, |l| l.triggers.of(neuron))
    }

    /// The strongest of these with the coefficients around them.
    pub(super) fn contexts(&self, sign: Sign, neuron: usize) -> &[(Trigger, Window)] {
        self.lists(sign).map_or(&[], |l| l.contexts.of(neuron))
    }

    /// The triggers that reports have: none at a floor.
    pub(super) fn told_triggers(&self, sign: Sign, neuron: usize) -> Vec<Trigger> {
        if self.is_told(sign) { self.triggers(sign, neuron) } else { Vec::new() }
    }

    /// How many these are.
    pub(super) fn told_count(&self, sign: Sign, neuron: usize) -> usize {
        let lists = self.lists(sign).filter(|_| self.is_told(sign));
        lists.map_or(0, |lists| lists.triggers.count(neuron))
    }

    /// The same of contexts.
    pub(super) fn told_contexts(&self, sign: Sign, neuron: usize) -> &[(Trigger, Window)] {
        if self.is_told(sign) { self.contexts(sign, neuron) } else { &[] }
    }

    /// Whether triggers of this sign are told: not those at the floor of an activation function.
    pub(super) fn is_told(&self, sign: Sign) -> bool {
        sign == Sign::Positive || !self.floor
    }

    /// Bytes that full lists take, where the lists are not full yet, and those of the tables that tell them, about.
    pub(super) fn bytes_ahead(&self) -> (usize, usize) {
        let (mut lists, mut tables) = (0, 0);
        for (sign, of_sign) in Sign::BOTH.into_iter().filter_map(|sign| Some((sign, self.lists(sign)?))) {
            let Lists { triggers, contexts } = of_sign;
            let used: usize = (0..self.width).map(|neuron| triggers.count(neuron)).sum();
            let free = triggers.cells() - used;
            lists += free * TRIGGER + contexts.bytes() * free / triggers.cells().max(1);
            if self.is_told(sign) {
                tables += triggers.cells() * TOLD;
            }
        }
        (lists, tables)
    }

    /// The strongest trigger of a neuron.
    pub(super) fn strongest(&self, sign: Sign, neuron: usize) -> Option<Trigger> {
        self.lists(sign)?.triggers.strongest(neuron)
    }
}

/// Neurons whose thresholds are looked at together.
const LANES: usize = 16;

/// Offers the extremes of a batch to the lists of the neurons from `start` on.
fn offer<'a>(lists: &mut Lists, found: impl Iterator<Item = Row<'a>>, batch: &LayerBatch<'_>, start: usize) {
    let Lists { triggers, contexts } = lists;
    let rows: Vec<_> = found.zip(&batch.selection.texts).collect();
    let width = rows.first().map_or(0, |(row, _)| row.size.len());
    // All texts for a few neurons, then the next ones: so their lists stay in the cache.
    for first in (0..width).step_by(LANES) {
        for (row, (sample, _)) in &rows {
            let Some(text) = batch.samples.get(*sample).map(|s| s.id) else { continue };
            let sizes = &row.size[first..(first + LANES).min(width)];
            let least = triggers.thresholds().get(first..).unwrap_or_default();
            // All of them at once, without a branch for each: few reach it.
            if !sizes.iter().zip(least).fold(false, |any, (size, least)| any | (size >= least)) {
                continue;
            }
            for (neuron, &size) in (first..).zip(sizes) {
                let reached = triggers.thresholds().get(neuron).is_some_and(|&least| size >= least);
                let at = row.at.get(neuron).and_then(|&at| batch.selection.at.get(at as usize));
                if let (true, Some(at)) = (reached, at) {
                    let trigger = Trigger { size, text, position: at.token };
                    triggers.offer(neuron, trigger);
                    contexts.offer(neuron, trigger, || window(batch, &trigger, *sample, start + neuron));
                }
            }
        }
    }
}

/// A neuron's coefficients around a trigger in a row of the batch.
fn window(batch: &LayerBatch<'_>, trigger: &Trigger, sample: usize, neuron: usize) -> Window {
    let Some(span) = batch.samples.get(sample).map(|s| s.span.clone()) else { return Window::EMPTY };
    // As in a selection, a sample without tokens has all positions of its row.
    let span = if span.is_empty() { 0..batch.rows.positions } else { span };
    let (first, end) = (span.start + contexts::first(trigger) as usize, span.end);
    let row = |position| batch.rows.row(sample, position);
    Window::of((first..end).map_while(|position| row(position).get(neuron).copied()))
}

/// Where the first coefficients that are no numbers stand.
fn not_finite(batch: &LayerBatch<'_>, layer: usize) -> AnalyzerError {
    let count = |row: &[f32]| row.iter().filter(|x| !x.is_finite()).count();
    let what = format!("memory coefficients of layer {layer}");
    for (text, sample) in batch.samples.iter().enumerate() {
        let at = batch.selection.at.iter().filter(|at| at.sample == text);
        let count: usize = at.map(|at| count(batch.rows.row(at.sample, at.position))).sum();
        if count > 0 {
            return AnalyzerError::NotFinite { what, count, sample: sample.id };
        }
    }
    AnalyzerError::Other(format!("{what} have no finite moments"))
}
