//! How many passes the methods of a plan take, told before anything long runs.

use std::sync::Arc;

use fmrai_core::analyzer::{Method, ModelView, Weights};
use fmrai_core::structure::Structure;
use fmrai_torch::data::DataContext;
use fmrai_torch::model::LoadedWeights;
use fmrai_torch::text::Tokenizer;

use super::given::{GivenData, GivenModel};
use super::watched::Watched;
use crate::error::Error;
use crate::plan::{Parity, ResolvedPlan, Source};

/// What one method takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Name of the analysis.
    pub name: String,
    /// Passes that the first batch takes beside the clean one, each row counted as its share; the reason where the method cannot tell.
    pub passes: Result<f64, String>,
    /// Samples of the first batch.
    pub samples: usize,
    /// How many times the method goes through the data.
    pub sweeps: usize,
}

/// What the methods of a plan that drive the model take for its first batch: the model is loaded and runs on that once. Empty where no method
/// drives the model.
///
/// # Errors
/// As a run up to its first batch.
pub fn costs(plan: ResolvedPlan) -> Result<Vec<Cost>, Error> {
    let ResolvedPlan { source: Source::Live { model, data }, analyses, base, .. } = plan else {
        return Ok(Vec::new());
    };
    let drives = |method: Option<&Method>| matches!(method, Some(Method::Experiment(_)));
    if !analyses.iter().any(|analysis| drives(analysis.method.get())) {
        return Ok(Vec::new());
    }
    let (model, data) = (GivenModel::Source(model), GivenData::Source(data));
    let model = model.load(&base)?;
    let info = model.info();
    let inputs = model.inputs();
    let tokenizer = model.tokenizer();
    let context = DataContext { base: &base, tokenizer, max_tokens: info.max_tokens, inputs: &inputs };
    let (mut batches, _) = data.batches(context)?;
    let Some(first) = batches.next_batch()? else { return Ok(Vec::new()) };
    let samples = first.samples.clone();
    let graph = Watched::new(model.as_ref(), Parity::Off)?.discover(&first.inputs)?;
    let weights: Arc<dyn Weights> = Arc::new(LoadedWeights::of(model.as_ref(), graph.as_ref()));
    let mut structure = Structure::of(graph.as_ref());
    structure.read_masks(graph.as_ref(), weights.as_ref());
    let view = ModelView {
        graph: graph.as_ref(),
        structure: &structure,
        vocabulary: tokenizer.map(Tokenizer::vocabulary),
        weights: Some(&weights),
    };
    let mut costs = Vec::new();
    for mut analysis in analyses {
        let Some(Method::Experiment(experiment)) = analysis.method.get_mut() else { continue };
        let prepared = experiment.prepare(&view).map_err(|error| error.to_string());
        let passes = prepared.map(|_| experiment.passes(&samples));
        let sweeps = experiment.sweeps();
        costs.push(Cost { name: analysis.name, passes, samples: samples.len(), sweeps });
    }
    Ok(costs)
}
