//! What follows from the memories and the weights together.

use ndarray::Array2;

use super::FfnKeyValue;
use super::agreement::{BINS, Bin, LayerAgreement, Predictive, bins, most_predictive};
use super::composition::{Composition, compositions};
use super::projection::{Projection, values};
use super::sample::Sample;
use super::values::{Distributions, distributions};

/// What the values say in words.
#[derive(Debug)]
pub(super) struct Conclusions {
    /// Size of the vocabulary.
    pub(super) tokens: usize,
    /// By layer.
    pub(super) distributions: Vec<Distributions>,
    /// For each neuron of each layer, the token after its strongest trigger.
    pub(super) targets: Vec<Vec<Option<u32>>>,
    pub(super) agreement: Vec<LayerAgreement>,
    pub(super) bins: [Bin; BINS],
    pub(super) most_predictive: Vec<Predictive>,
    /// How many of these are the next token of one of their key's triggers.
    pub(super) predictive_matches: usize,
    /// Layers whose stream is known, where positions were drawn.
    pub(super) composition: Vec<Composition>,
    /// Positions drawn.
    pub(super) drawn: usize,
}

impl Conclusions {
    /// Reads the weights, one layer after the other, and maps all values to the vocabulary; the reason where that
    /// cannot be done.
    pub(super) fn of(analysis: &FfnKeyValue) -> Result<Self, String> {
        let place = analysis.map.as_ref().map_err(|reason| (*reason).to_owned())?;
        let weights =
            analysis.weights.as_deref().ok_or("the model's weights are not at hand, only activations")?;
        let projection = place.read(weights)?;
        let memories = &analysis.memories;
        let mut targets: Vec<Vec<Option<u32>>> = vec![Vec::new(); analysis.layout.blocks.len()];
        for ((shard, _), trigger) in memories.neurons().zip(memories.strongest()) {
            let target = trigger.and_then(|t| memories.texts.next_token(t.text, t.position));
            if let Some(layer) = targets.get_mut(shard.layer) {
                layer.push(target);
            }
        }
        let mut found = Vec::new();
        for (block, targets) in analysis.layout.blocks.iter().zip(&targets) {
            let vectors: Array2<f32> = values(weights, &block.values, block.neurons)?;
            fits(&projection, vectors.ncols(), &block.label)?;
            found.push(distributions(&projection, vectors.view(), targets, analysis.config.top_tokens));
        }
        let pairs: Vec<_> = found.iter().zip(targets.iter().map(Vec::as_slice)).collect();
        let agreement = pairs.iter().map(|(v, t)| LayerAgreement::of(v, t, &memories.next_tokens)).collect();
        let most_predictive = most_predictive(&found.iter().collect::<Vec<_>>());
        let sample = analysis.sample.as_ref();
        let composition = sample.map_or_else(|| Ok(Vec::new()), |s| compositions(s, &projection, &found))?;
        Ok(Self {
            composition,
            drawn: sample.map_or(0, Sample::len),
            tokens: projection.tokens(),
            agreement,
            bins: bins(&pairs),
            predictive_matches: matches(analysis, &most_predictive),
            most_predictive,
            distributions: found,
            targets,
        })
    }
}

fn fits(projection: &Projection, channels: usize, label: &str) -> Result<(), String> {
    if channels == projection.channels() {
        return Ok(());
    }
    Err(format!(
        "the values of {label} have {channels} channels, the vocabulary's vectors have {}",
        projection.channels()
    ))
}

/// How many values are sure of a token that follows one of their key's triggers.
fn matches(analysis: &FfnKeyValue, values: &[Predictive]) -> usize {
    let memories = &analysis.memories;
    let follows = |value: &&Predictive| {
        let mut shards = memories.shards.iter();
        let shard =
            shards.find(|s| s.layer == value.layer && (s.start..s.start + s.width).contains(&value.neuron));
        let mut triggers =
            shard.into_iter().flat_map(|s| s.positive.triggers.unordered(value.neuron - s.start));
        triggers.any(|t| memories.texts.next_token(t.text, t.position) == Some(value.token))
    };
    values.iter().filter(follows).count()
}
