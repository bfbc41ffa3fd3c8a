//! What shapes tell of a plan before it runs.

use fmrai_core::analyzer::Method;
use fmrai_core::graph::{Graph, Origin, TensorNode};
use fmrai_core::tracker::CaptureRequest;
use fmrai_torch::Device;
use fmrai_torch::bench::Study;
use fmrai_torch::data::DataContext;
use fmrai_torch::model::LoadContext;

use crate::error::Error;
use crate::plan::{ResolvedPlan, Source};

/// What a plan reads and keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shapes {
    /// Batches of the data.
    pub(super) batches: u64,
    /// Bytes of the data that have been read after the first batch, after the last that is tried, and in all.
    pub(super) read: [u64; 3],
    /// Bytes of the model's weights and buffers.
    pub(super) weights: u64,
    /// Bytes of the tensors that analyses keep of the first batch.
    pub(super) kept: u64,
    /// Samples of the first batch, and positions of its longest.
    pub(super) first: (usize, usize),
}

/// Loads the model, runs it on the first batch, counts the others, and lets go of all of it.
pub(super) fn of(plan: ResolvedPlan, tried: u64) -> Result<Shapes, Error> {
    let ResolvedPlan { source: Source::Live { model, data }, analyses, base, .. } = plan else {
        let what = "the plan has stored activations, whose size is known; only runs of a model are estimated";
        return Err(Error::Usage(what.to_owned()));
    };
    let model = model.load(&LoadContext { base: &base, device: Device::Cpu })?;
    let (first, batches, read) = {
        let inputs = model.inputs();
        let max_tokens = model.info().max_tokens;
        let context = DataContext { base: &base, tokenizer: model.tokenizer(), max_tokens, inputs: &inputs };
        let mut all = data.open(&context)?;
        let first = all.next_batch()?;
        let first = first.ok_or_else(|| Error::Usage("there is nothing in the data".to_owned()))?;
        let (after_first, whole) = all.progress();
        let mut batches = 1;
        while batches < tried && all.next_batch()?.is_some() {
            batches += 1;
        }
        let read = [after_first, all.progress().0, whole];
        (first, batches + all.pass_over(u64::MAX)?, read)
    };
    let longest = first.samples.iter().map(|sample| sample.span.len()).max().unwrap_or(0);
    let size = (first.samples.len(), longest);
    let study = Study::of_batch(model, first).map_err(|error| Error::Usage(error.to_string()))?;
    let mut request = CaptureRequest::default();
    for mut analysis in analyses {
        let prepared = match analysis.method.get_mut() {
            Some(Method::Analyzer(analyzer)) => analyzer.prepare(&study.view()),
            Some(Method::Experiment(experiment)) => experiment.prepare(&study.view()),
            None => continue,
        };
        // What fails now fails in the run, which says so.
        if let Ok(own) = prepared {
            request = request.union(&own);
        }
    }
    let graph = study.graph();
    let bytes = |tensor: &TensorNode| {
        let elements: i64 = tensor.shape.iter().product();
        u64::try_from(elements).unwrap_or(0) * tensor.dtype.size().unwrap_or(0) as u64
    };
    let weights = graph.tensors().iter().filter(|tensor| tensor.origin == Origin::Parameter);
    Ok(Shapes {
        batches,
        read,
        weights: weights.map(bytes).sum(),
        kept: request.tensors().filter_map(|id| graph.tensor(id)).map(bytes).sum(),
        first: size,
    })
}
