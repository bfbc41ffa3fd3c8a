//! Residual streams at positions drawn from the whole data.

use std::collections::BTreeMap;

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use fmrai_core::batch::Batch;
use fmrai_core::tensor::{TensorData, TensorValue};
use fmrai_core::tracker::CaptureRequest;

use super::config::FfnKeyValueConfig;
use super::layout::{Layout, Stream};
use super::positions::{Rows, Selection};

/// The three parts of a stream around a block: before, written, after.
pub(super) const PARTS: usize = 3;

/// What tells positions apart: a hash first, so that those with the smallest keys are drawn at random, whatever the
/// order of the data.
type Key = (u64, u64, u32);

/// The streams at the positions with the smallest keys, at most as many as the config asks for.
#[derive(Debug, Default)]
pub(super) struct Sample {
    most: usize,
    seed: u64,
    /// The layers whose stream is known, and its tensors.
    pub(super) layers: Vec<(usize, Stream)>,
    /// `[layer, part, channel]` of each position.
    at: BTreeMap<Key, Vec<f32>>,
    /// Channels of the stream; 0 before the first batch.
    pub(super) channels: usize,
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014).
fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Sample {
    /// Of no positions.
    pub(super) fn new(layout: &Layout, config: &FfnKeyValueConfig) -> Self {
        let known = layout.blocks.iter().enumerate().filter_map(|(layer, b)| Some((layer, b.stream?)));
        let layers = known.collect();
        Self {
            most: config.composition_positions,
            seed: config.seed,
            layers,
            at: BTreeMap::new(),
            channels: 0,
        }
    }

    /// The tensors that are read.
    pub(super) fn request(&self) -> CaptureRequest {
        self.layers.iter().flat_map(|(_, s)| [s.before, s.written, s.after]).collect()
    }

    /// Positions drawn so far.
    pub(super) fn len(&self) -> usize {
        self.at.len()
    }

    /// One part of a layer's stream at all positions, row by row; `layer` counts those whose stream is known.
    pub(super) fn part(&self, layer: usize, part: usize) -> Vec<f32> {
        let start = (layer * PARTS + part) * self.channels;
        self.at
            .values()
            .flat_map(|v| v.get(start..start + self.channels).unwrap_or_default())
            .copied()
            .collect()
    }

    /// Takes in what a batch has at the positions that are drawn; nothing of it if it has an error.
    pub(super) fn track(
        &mut self,
        batch: &Batch<'_>,
        config: &FfnKeyValueConfig,
    ) -> Result<(), AnalyzerError> {
        let mut rows = Vec::with_capacity(self.layers.len() * PARTS);
        for id in self.layers.iter().flat_map(|(_, s)| [s.before, s.written, s.after]) {
            let width = batch.tensor(id)?.shape().last().copied().unwrap_or(0);
            rows.push(Rows::read(batch, id, width)?);
        }
        let Some(first) = rows.first() else { return Ok(()) };
        let (channels, positions) = (first.width, first.positions);
        let same = |r: &Rows<'_>| (r.width, r.positions) == (channels, positions);
        if !rows.iter().all(same) || ![0, channels].contains(&self.channels) {
            let what = "the residual streams of the layers have different widths or lengths";
            return Err(AnalyzerError::Other(what.to_owned()));
        }
        let samples = batch.samples();
        let selection = Selection::of(samples, positions, config.strategy, config.special_tokens);
        let mut drawn = Vec::new();
        let last = (self.at.len() >= self.most).then(|| self.at.keys().next_back().copied()).flatten();
        for at in selection.at {
            let Some(text) = samples.get(at.sample).map(|s| s.id) else { continue };
            let hash = mixed(mixed(mixed(self.seed) ^ text).wrapping_add(u64::from(at.token)));
            let key = (hash, text, at.token);
            if last.is_some_and(|last| key > last) {
                continue;
            }
            let vector: Vec<f32> = rows.iter().flat_map(|r| r.row(at)).copied().collect();
            let count = vector.iter().filter(|x| !x.is_finite()).count();
            if count > 0 {
                let what = "the residual stream".to_owned();
                return Err(AnalyzerError::NotFinite { what, count, sample: text });
            }
            drawn.push((key, vector));
        }
        self.channels = channels;
        self.at.extend(drawn);
        self.drop_rest();
        Ok(())
    }

    fn drop_rest(&mut self) {
        while self.at.len() > self.most {
            self.at.pop_last();
        }
    }

    /// Puts everything into a state.
    pub(super) fn write(&self, state: &mut State) -> Result<(), AnalyzerError> {
        let keys =
            self.at.keys().flat_map(|(hash, text, token)| [*hash as i64, *text as i64, i64::from(*token)]);
        let width = self.layers.len() * PARTS * self.channels;
        let vectors: Vec<f32> = self.at.values().flatten().copied().collect();
        let parts = [
            ("sample.keys", vec![self.at.len(), 3], TensorData::I64(keys.collect())),
            ("sample.vectors", vec![self.at.len(), width], TensorData::F32(vectors)),
            ("sample.channels", vec![1], TensorData::I64(vec![self.channels as i64])),
        ];
        for (name, shape, data) in parts {
            let tensor =
                TensorValue::new(shape, data).map_err(|e| AnalyzerError::Other(format!("{name}: {e}")))?;
            state.tensors.insert(name.to_owned(), tensor);
        }
        Ok(())
    }

    /// What a state holds; nothing is taken in yet.
    pub(super) fn read(&self, state: &State) -> Result<Self, StateError> {
        let broken = |part: &str, found: &str, needed: &str| StateError::Part {
            part: part.to_owned(),
            found: found.to_owned(),
            needed: needed.to_owned(),
        };
        let channels = state.tensor("sample.channels", &[1])?.i64();
        let channels = channels.ok().and_then(|c| usize::try_from(*c.first()?).ok());
        let channels = channels.ok_or_else(|| broken("sample.channels", "no number", "a count"))?;
        if channels != 0 && self.channels != 0 && channels != self.channels {
            return Err(broken("sample.channels", &channels.to_string(), &self.channels.to_string()));
        }
        let count = state.tensors.get("sample.keys").and_then(|t| t.shape().first()).copied().unwrap_or(0);
        let keys = state.tensor("sample.keys", &[count, 3])?;
        let keys = keys.i64().map_err(|e| broken("sample.keys", &e.to_string(), "int64"))?;
        if channels == 0 && count > 0 {
            return Err(broken("sample.channels", "0", "those of the positions that were drawn"));
        }
        let width = channels.saturating_mul(self.layers.len() * PARTS);
        let vectors = match state.tensor("sample.vectors", &[count, width])?.data() {
            TensorData::F32(vectors) if vectors.iter().all(|x| x.is_finite()) => vectors,
            _ => return Err(broken("sample.vectors", "not finite float32", "finite float32")),
        };
        let mut at = BTreeMap::new();
        for (i, key) in keys.chunks_exact(3).enumerate() {
            let token =
                u32::try_from(key[2]).map_err(|_| broken("sample.keys", "no position", "positions"))?;
            at.insert((key[0] as u64, key[1] as u64, token), vectors[i * width..(i + 1) * width].to_vec());
        }
        Ok(Self { most: self.most, seed: self.seed, layers: self.layers.clone(), at, channels })
    }

    /// Takes in what was seen elsewhere.
    pub(super) fn merge(&mut self, other: Self) {
        if other.channels != 0 {
            self.channels = other.channels;
        }
        self.at.extend(other.at);
        self.drop_rest();
    }
}
