//! What the values of single neurons promote, without a run.

use fmrai_core::analyzer::ModelView;
use fmrai_core::structure::FeedForward;
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
    let lens = place.load(weights).map_err(|error| error.to_string());
    let projection = value_reader(config, &place, weights, lens.as_ref())?;
    let vectors = values(weights, &block.values, block.neurons)?;
    if neuron >= vectors.nrows() || vectors.ncols() != projection.channels() {
        return Err(format!(
            "the values are {} of {} channels, the vocabulary's vectors have {}",
            vectors.nrows(),
            vectors.ncols(),
            projection.channels()
        ));
    }
    let one = vectors.select(Axis(0), &[neuron]);
    Ok(distributions(&projection, one.view(), &[None], config.top_tokens)?.of(0).collect())
}
