//! Everything that is counted of the neurons of a model.

use std::collections::BTreeMap;

use fearless_simd::Level;
use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Batch;
use rayon::prelude::*;

use super::config::FfnKeyValueConfig;
use super::layout::{Block, Layout};
use super::positions::Selection;
use super::sample::Sample;
use super::shard::{LayerBatch, Shard, shards};
use super::sign::Sign;
use super::texts::Texts;
use super::triggers::Trigger;
use crate::rows::Rows;

/// Moments and triggers of all neurons, the texts that these name, and how often each token follows another.
#[derive(Debug)]
pub(super) struct Memories {
    level: Level,
    /// Triggers of each neuron and sign that have a window.
    pub(super) contexts: usize,
    pub(super) shards: Vec<Shard>,
    /// Coefficients seen of each neuron, by layer.
    pub(super) positions: Vec<u64>,
    pub(super) texts: Texts,
    /// Texts seen.
    pub(super) seen: u64,
    /// How often each token follows a position that was looked at.
    pub(super) next_tokens: BTreeMap<u32, u64>,
}

impl Memories {
    /// Of no data.
    pub(super) fn new(layout: &Layout, config: &FfnKeyValueConfig) -> Self {
        Self {
            level: Level::new(),
            contexts: config.contexts.min(config.triggers),
            shards: shards(&layout.blocks, config),
            positions: vec![0; layout.blocks.len()],
            texts: Texts::default(),
            seen: 0,
            next_tokens: BTreeMap::new(),
        }
    }

    /// Takes a batch in; nothing of it if it has an error.
    pub(super) fn track(
        &mut self,
        batch: &Batch<'_>,
        layout: &Layout,
        config: &FfnKeyValueConfig,
        sample: Option<&mut Sample>,
    ) -> Result<(), AnalyzerError> {
        let samples = batch.samples();
        if samples.is_empty() {
            return Ok(());
        }
        let read = |id, width| Rows::read(batch, id, width);
        let rows: Vec<_> =
            layout.blocks.iter().map(|b| read(b.activation, b.neurons)).collect::<Result<_, _>>()?;
        let gate = |(block, rows): (&Block, &Rows<'_>)| {
            let Some(id) = block.gate else { return Ok(None) };
            let gate = read(id, block.neurons)?;
            let same = gate.positions == rows.positions;
            if same { Ok(Some(gate)) } else { Err(different(rows.positions, gate.positions)) }
        };
        let gates: Vec<_> = layout.blocks.iter().zip(&rows).map(gate).collect::<Result<_, _>>()?;
        // One selection for all layers, but where samples have no tokens and layers see different grids.
        let mut selections: BTreeMap<usize, Selection> = BTreeMap::new();
        for rows in &rows {
            let of = || Selection::of(samples, rows.positions, config.strategy, config.special_tokens);
            selections.entry(rows.positions).or_insert_with(of);
        }
        let layers: Vec<_> = rows
            .iter()
            .zip(&gates)
            .filter_map(|(rows, gate)| {
                let selection = selections.get(&rows.positions)?;
                Some(LayerBatch { rows: *rows, gate: *gate, selection, samples })
            })
            .collect();
        let looked_at = selections.values().any(|s| !s.at.is_empty());
        let level = self.level;
        let of = |layer: usize| layers.get(layer).filter(|l| !l.selection.at.is_empty());
        if looked_at {
            let failed = self.shards.par_iter_mut().filter_map(|s| s.read(level, of(s.layer)?).err());
            // The first layer's error, whatever thread was faster.
            if let Some(error) = failed.collect::<Vec<_>>().into_iter().next() {
                return Err(error);
            }
        }
        // The last thing that can fail; what was read above is not taken in before.
        if let Some(sample) = sample {
            sample.track(batch, config)?;
        }
        if looked_at {
            let positions = &self.positions;
            self.shards.par_iter_mut().for_each(|shard| {
                if let Some(layer) = of(shard.layer) {
                    shard.commit(positions.get(shard.layer).copied().unwrap_or(0), layer);
                }
            });
        }
        for (all, layer) in self.positions.iter_mut().zip(&layers) {
            *all += layer.selection.at.len() as u64;
        }
        self.seen += samples.len() as u64;
        if let Some(layer) = layers.first() {
            for at in &layer.selection.at {
                let tokens = samples.get(at.sample).map_or(&[][..], |s| &s.token_ids);
                if let Some(next) = tokens.get(at.token as usize + 1) {
                    *self.next_tokens.entry(*next).or_default() += 1;
                }
            }
        }
        if self.texts.add(samples) {
            self.drop_unnamed();
        }
        Ok(())
    }

    /// Drops the texts that no trigger names.
    pub(super) fn drop_unnamed(&mut self) {
        let named = self.named();
        self.texts.retain(&named);
    }

    /// The texts that triggers name, sorted.
    pub(super) fn named(&self) -> Vec<u64> {
        let mut named: Vec<u64> = Vec::new();
        for shard in &self.shards {
            let lists = Sign::BOTH.into_iter().filter_map(|sign| shard.lists(sign));
            let all = lists.flat_map(|l| (0..shard.width).flat_map(|neuron| l.triggers.unordered(neuron)));
            named.extend(all.map(|t| t.text));
            named.sort_unstable();
            named.dedup();
        }
        named
    }

    /// The shard and the place in it of each neuron, in the order of indices.
    pub(super) fn neurons(&self) -> impl Iterator<Item = (&Shard, usize)> {
        self.shards.iter().flat_map(|shard| (0..shard.width).map(move |neuron| (shard, neuron)))
    }

    /// The strongest trigger of each neuron, in the order of indices.
    pub(super) fn strongest(&self) -> impl Iterator<Item = Option<Trigger>> + '_ {
        self.neurons().map(|(shard, neuron)| shard.strongest(Sign::Positive, neuron))
    }
}

fn different(one: usize, other: usize) -> AnalyzerError {
    AnalyzerError::Other(format!(
        "a gate has {other} positions and its block {one}: they cannot be set side by side"
    ))
}
