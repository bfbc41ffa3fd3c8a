//! What the values of single neurons promote, without a run.

use fmrai_core::analyzer::{ModelView, Weights};
use fmrai_core::structure::{FeedForward, NeuronWeights};
use ndarray::Axis;

use super::conclusions::value_reader;
use super::config::FfnKeyValueConfig;
use super::projection::{MapPlace, values};
use super::values::distributions;

/// The most probable tokens of `p = softmax(v·E)`, `v` the value of a neuron, with their probabilities: as many as `config.top_tokens`, read as the
/// analysis reads values.
///
/// # Errors
/// A sentence: the model has no map to a vocabulary, or its weights cannot be read.
pub fn promoted_tokens(
    model: &ModelView<'_>,
    block: &FeedForward,
    neuron: usize,
    config: &FfnKeyValueConfig,
) -> Result<Vec<(u32, f64)>, String> {
    let place = MapPlace::find(model.structure, model.graph, config).map_err(str::to_owned)?;
    let weights = model.weights.ok_or("the model's weights are not at hand")?.as_ref();
    let lists = promoted(weights, &place, config, &[(&block.values, block.neurons, &[neuron])])?;
    Ok(lists.into_iter().flatten().next().unwrap_or_default())
}

/// The most probable tokens of a value, with their probabilities.
pub(crate) type Promoted = Vec<(u32, f64)>;

/// The same of some neurons of each of several blocks: where the values of a block are, how many it has, and which are asked for.
pub(crate) fn promoted(
    weights: &dyn Weights,
    place: &MapPlace,
    config: &FfnKeyValueConfig,
    blocks: &[(&NeuronWeights, usize, &[usize])],
) -> Result<Vec<Vec<Promoted>>, String> {
    let lens = place.load(weights).map_err(|error| error.to_string());
    let projection = value_reader(config, place, weights, lens.as_ref())?;
    let mut all = Vec::with_capacity(blocks.len());
    for (place, neurons, wanted) in blocks {
        let vectors = values(weights, place, *neurons)?;
        if wanted.iter().any(|neuron| *neuron >= vectors.nrows()) || vectors.ncols() != projection.channels()
        {
            return Err(format!(
                "the values are {} of {} channels, the vocabulary's vectors have {}",
                vectors.nrows(),
                vectors.ncols(),
                projection.channels()
            ));
        }
        let chosen = vectors.select(Axis(0), wanted);
        let found = distributions(&projection, chosen.view(), &vec![None; wanted.len()], config.top_tokens)?;
        all.push((0..wanted.len()).map(|vector| found.of(vector).collect()).collect());
    }
    Ok(all)
}
