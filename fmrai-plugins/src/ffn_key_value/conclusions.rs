//! What follows from the memories and the weights together.

use std::sync::Arc;

use fmrai_core::analyzer::Weights;
use ndarray::Array2;

use super::agreement::{BINS, Bin, LayerAgreement, Predictive, bins, most_predictive};
use super::analysis::FfnKeyValue;
use super::composition::{Composition, Readers, compositions};
use super::config::FfnKeyValueConfig;
use super::projection::{MapPlace, Projection, values};
use super::reading::Check;
use super::sample::Sample;
use super::values::{Distributions, distributions};
use crate::lens::{From, LoadedLens};

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
    /// True if values were read by `E` alone, false if through all that the model does after its last stream.
    pub(super) values_by_table: bool,
    /// Layers whose stream is known, where positions were drawn.
    pub(super) composition: Vec<Composition>,
    /// Why there are none, where streams cannot be read.
    pub(super) no_composition: Option<String>,
    /// Whether the last stream is read as the model reads it; absent without positions or without logits of the model.
    pub(super) check: Option<Check>,
    /// Positions drawn.
    pub(super) drawn: usize,
}

/// What a reader has to know before anything that was read through a borrowed map.
pub(super) const BORROWED: &str = "the model has no map from its stream to a vocabulary, and its token embedding was never trained \
                                   to be one: the tokens and probabilities that are read with it are no predictions of the model, and may \
                                   mean less the nearer to the output they are read";

impl Conclusions {
    /// Reads the weights, one layer after the other, and maps all values to the vocabulary; the reason where that
    /// cannot be done.
    pub(super) fn of(analysis: &FfnKeyValue) -> Result<Self, String> {
        if !analysis.config.values {
            return Err("the config says `values`: false, so no value is mapped to tokens".to_owned());
        }
        let place = analysis.map.as_ref().map_err(|reason| (*reason).to_owned())?;
        let weights =
            analysis.weights.as_deref().ok_or("the model's weights are not at hand, only activations")?;
        let lens = place.load(weights).map_err(|e| e.to_string());
        let projection = value_reader(&analysis.config, place, weights, lens.as_ref())?;
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
            found.push(distributions(&projection, vectors.view(), targets, analysis.config.top_tokens)?);
        }
        let pairs: Vec<_> = found.iter().zip(targets.iter().map(Vec::as_slice)).collect();
        let agreement = pairs.iter().map(|(v, t)| LayerAgreement::of(v, t, &memories.next_tokens)).collect();
        let most_predictive = most_predictive(&found.iter().collect::<Vec<_>>());
        let sample = analysis.sample.as_ref();
        let streams = match (&lens, sample) {
            (Err(reason), _) => Err(reason.clone()),
            (Ok(_), None) => Ok((Vec::new(), None)),
            (Ok(lens), Some(sample)) => streams(sample, lens, &projection, &found),
        };
        let (composition, check, no_composition) = match streams {
            Ok((composition, check)) => match check.and_then(|check: Check| check.refusal()) {
                None => (composition, check, None),
                Some(refusal) => (Vec::new(), check, Some(refusal)),
            },
            Err(reason) => (Vec::new(), None, Some(reason)),
        };
        Ok(Self {
            composition,
            no_composition: no_composition.filter(|_| analysis.config.composition_positions > 0),
            check,
            drawn: sample.map_or(0, Sample::len),
            values_by_table: projection.is_table(),
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

/// How values are read: as the config says, and through the model's own map where `E` alone takes vectors of another width.
pub(super) fn value_reader(
    config: &FfnKeyValueConfig,
    place: &MapPlace,
    weights: &dyn Weights,
    lens: Result<&Arc<LoadedLens>, &String>,
) -> Result<Projection, String> {
    if config.final_norm {
        return lens.map(|lens| Projection::Lens(Arc::clone(lens), From::Sum)).map_err(Clone::clone);
    }
    let table = place.table(weights, lens.ok().map(Arc::as_ref))?;
    Ok(match lens {
        Ok(lens) if lens.channels() != table.channels() => Projection::Lens(Arc::clone(lens), From::Sum),
        _ => table,
    })
}

/// How predictions are composed, and whether the last stream is read as the model reads it.
fn streams(
    sample: &Sample,
    lens: &Arc<LoadedLens>,
    projection: &Projection,
    found: &[Distributions],
) -> Result<(Vec<Composition>, Option<Check>), String> {
    let reader = |from| Projection::Lens(Arc::clone(lens), from);
    let (stream, sum) = (reader(From::Stream), reader(From::Sum));
    let check = Check::of(sample, &stream)?;
    let readers = Readers { stream: &stream, sum: &sum, values: projection };
    Ok((compositions(sample, &readers, found)?, check))
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
