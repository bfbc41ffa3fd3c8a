//! How many passes the methods of a plan take, told before anything long runs.

use std::path::Path;

use fmrai_core::analyzer::Method;
use fmrai_torch::Device;
use fmrai_torch::bench::Study;
use fmrai_torch::data::{DataContext, InputBatch};
use fmrai_torch::model::Model;

use super::given::{GivenData, GivenModel};
use crate::error::Error;
use crate::plan::{OnError, ResolvedPlan, Source};

/// What one method takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Name of the analysis.
    pub name: String,
    /// Passes that the first batch takes beside the clean one, each row counted as its share; the reason where the method cannot do with this model
    /// or this batch.
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
    let model = model.load(&base, Device::Cpu, None)?;
    let first = first_batch(model.as_ref(), data, &base)?;
    let Some(first) = first else { return Ok(Vec::new()) };
    let study = Study::of_batch(model, first)?;
    let (view, samples) = (study.view(), study.samples());
    let mut costs = Vec::new();
    for mut analysis in analyses {
        let Some(Method::Experiment(experiment)) = analysis.method.get_mut() else { continue };
        let prepared = experiment.prepare(&view).and_then(|_| experiment.accepts(samples));
        let passes = prepared.map(|()| experiment.passes(samples)).map_err(|error| error.to_string());
        let sweeps = experiment.sweeps();
        costs.push(Cost { name: analysis.name, passes, samples: samples.len(), sweeps });
    }
    Ok(costs)
}

/// The first batch of the data; `None` where there is none.
fn first_batch(model: &dyn Model, data: GivenData, base: &Path) -> Result<Option<InputBatch>, Error> {
    let inputs = model.inputs();
    let max_tokens = model.info().max_tokens;
    let context = DataContext { base, tokenizer: model.tokenizer(), max_tokens, inputs: &inputs };
    let (mut batches, _) = data.batches(context, OnError::Stop)?;
    Ok(batches.next_batch()?)
}
