//! Residual streams at positions drawn from the whole data, and what the model itself says there.

use std::collections::BTreeMap;

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Batch;
use fmrai_core::graph::TensorId;
use fmrai_core::tracker::CaptureRequest;

use super::config::FfnKeyValueConfig;
use super::layout::{Layout, Stream};
use super::positions::Selection;
use crate::lens::Lens;
use crate::rows::Rows;

/// The three parts of a stream around a block: before, written, after.
pub(super) const PARTS: usize = 3;

/// Logits of the model that are kept of each position, beside the largest: those of tokens spread over the vocabulary.
const PROBES: usize = 64;

/// What tells positions apart: a hash first, so that those with the smallest keys are drawn at random, whatever the
/// order of the data.
pub(super) type Key = (u64, u64, u32);

/// What is kept of a position.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Drawn {
    /// `[layer, part, channel]`, then the last stream, `[channel]`.
    pub(super) vectors: Vec<f32>,
    /// The model's most probable token; absent without its logits.
    pub(super) top: Option<u32>,
    /// The model's logit of that token, then those of [`probes`]; empty without them.
    pub(super) logits: Vec<f32>,
}

/// The streams at the positions with the smallest keys, at most as many as the config asks for.
#[derive(Debug, Default)]
pub(super) struct Sample {
    most: usize,
    seed: u64,
    /// The layers whose stream is known and is the one that is read, and its tensors.
    pub(super) layers: Vec<(usize, Stream)>,
    /// The stream after all of them.
    end: Option<TensorId>,
    /// The model's own logits, where they can be compared, and the size of the vocabulary.
    pub(super) logits: Option<(TensorId, usize)>,
    pub(super) at: BTreeMap<Key, Drawn>,
    /// Channels of the stream; 0 before the first batch.
    pub(super) channels: usize,
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014).
fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Tokens spread evenly over a vocabulary, first and last among them.
pub(super) fn probes(tokens: usize) -> impl ExactSizeIterator<Item = usize> {
    let count = tokens.min(PROBES);
    (0..count).map(move |i| (i * tokens.saturating_sub(1)).checked_div(count - 1).unwrap_or(0))
}

impl Sample {
    /// Of no positions. Layers of other streams than the one that `lens` reads are not looked at.
    pub(super) fn new(layout: &Layout, config: &FfnKeyValueConfig, lens: &Lens) -> Self {
        let known = layout.blocks.iter().enumerate().filter_map(|(layer, b)| Some((layer, b.stream?)));
        let layers = known.filter(|(_, stream)| stream.number == lens.stream_number()).collect();
        Self {
            most: config.composition_positions,
            seed: config.seed,
            layers,
            end: Some(lens.stream()),
            logits: lens.logits().ok().map(|id| (id, lens.tokens())),
            at: BTreeMap::new(),
            channels: 0,
        }
    }

    fn streams(&self) -> impl Iterator<Item = TensorId> + '_ {
        let parts = self.layers.iter().flat_map(|(_, s)| [s.before, s.written, s.after]);
        parts.chain(self.end)
    }

    /// The tensors that are read.
    pub(super) fn request(&self) -> CaptureRequest {
        self.streams().chain(self.logits.map(|(id, _)| id)).collect()
    }

    /// Positions drawn so far.
    pub(super) fn len(&self) -> usize {
        self.at.len()
    }

    /// One part of a layer's stream at all positions, row by row; `layer` counts those whose stream is known.
    pub(super) fn part(&self, layer: usize, part: usize) -> Vec<f32> {
        self.vectors(layer * PARTS + part)
    }

    /// The last stream at all positions, row by row.
    pub(super) fn end(&self) -> Vec<f32> {
        self.vectors(self.layers.len() * PARTS)
    }

    fn vectors(&self, place: usize) -> Vec<f32> {
        let start = place * self.channels;
        let of =
            |drawn: &'_ Drawn| drawn.vectors.get(start..start + self.channels).unwrap_or_default().to_vec();
        self.at.values().flat_map(of).collect()
    }

    /// For each position the model's most probable token, and its logits of that and of [`probes`]; `None` where they are not known.
    pub(super) fn model(&self) -> Option<Vec<(u32, &[f32])>> {
        self.at.values().map(|drawn| Some((drawn.top?, drawn.logits.as_slice()))).collect()
    }

    /// Takes in what a batch has at the positions that are drawn; nothing of it if it has an error.
    pub(super) fn track(
        &mut self,
        batch: &Batch<'_>,
        config: &FfnKeyValueConfig,
    ) -> Result<(), AnalyzerError> {
        let mut rows = Vec::with_capacity(self.layers.len() * PARTS + 1);
        for id in self.streams() {
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
        let logits = self.logits.map(|(id, tokens)| Rows::read(batch, id, tokens)).transpose()?;
        if logits.is_some_and(|logits| logits.positions != positions) {
            let what = "the model's logits stand at other positions than its last stream";
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
            let vectors: Vec<f32> =
                rows.iter().flat_map(|r| r.row(at.sample, at.position)).copied().collect();
            let count = vectors.iter().filter(|x| !x.is_finite()).count();
            if count > 0 {
                let what = "the residual stream".to_owned();
                return Err(AnalyzerError::NotFinite { what, count, sample: text });
            }
            let (top, logits) = match logits {
                None => (None, Vec::new()),
                Some(logits) => said(logits.row(at.sample, at.position), text)?,
            };
            drawn.push((key, Drawn { vectors, top, logits }));
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

    /// Logits kept of each position.
    pub(super) fn kept_logits(&self) -> usize {
        self.logits.map_or(0, |(_, tokens)| probes(tokens).len() + 1)
    }

    /// The same sample with other positions, as a state has them.
    pub(super) fn holding(&self, at: BTreeMap<Key, Drawn>, channels: usize) -> Self {
        let Self { most, seed, layers, end, logits, .. } = self;
        Self { most: *most, seed: *seed, layers: layers.clone(), end: *end, logits: *logits, at, channels }
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

/// The most probable token of a position, and the logits that are kept.
fn said(logits: &[f32], text: u64) -> Result<(Option<u32>, Vec<f32>), AnalyzerError> {
    let count = logits.iter().filter(|x| !x.is_finite()).count();
    if count > 0 {
        let what = "the model's logits".to_owned();
        return Err(AnalyzerError::NotFinite { what, count, sample: text });
    }
    let mut top = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[top] {
            top = token;
        }
    }
    let kept = std::iter::once(top).chain(probes(logits.len())).filter_map(|token| logits.get(token));
    Ok((u32::try_from(top).ok(), kept.copied().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_lie_in_the_vocabulary() {
        assert_eq!(probes(3).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!((probes(0).len(), probes(1).collect::<Vec<_>>()), (0, vec![0]));
        let many: Vec<usize> = probes(262_144).collect();
        assert_eq!((many.len(), many[0], many[63]), (64, 0, 262_143));
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn the_first_of_equal_logits_is_the_top() {
        assert_eq!(said(&[1.0, 3.0, 3.0], 0).unwrap(), (Some(1), vec![3.0, 1.0, 3.0, 3.0]));
        assert!(said(&[1.0, f32::NAN], 7).is_err());
    }
}
