//! What shapes tell of a plan before it runs.

use fmrai_core::analyzer::Method;
use fmrai_core::tracker::CaptureRequest;
use fmrai_torch::Device;
use fmrai_torch::bench::Study;
use fmrai_torch::data::DataContext;
use fmrai_torch::model::LoadContext;

use crate::error::Error;
use crate::plan::{ResolvedPlan, Source};
use crate::run::takes;

/// What a plan reads and keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shapes {
    /// Batches of the data.
    pub(super) batches: u64,
    /// Bytes of the model's weights and buffers.
    pub(super) weights: u64,
    /// Bytes of the tensors that analyses keep of the last batch.
    pub(super) kept: u64,
    /// Samples of the last batch, and positions of its longest.
    pub(super) last: (usize, usize),
}

/// Loads the model, counts the batches, runs the last one, which is among the longest, and lets go of all of it.
pub(super) fn of(plan: ResolvedPlan) -> Result<Shapes, Error> {
    let ResolvedPlan { source: Source::Live { model, data }, analyses, base, .. } = plan else {
        let what = "the plan has stored activations, whose size is known; only runs of a model are estimated";
        return Err(Error::Usage(what.to_owned()));
    };
    let model = model.load(&LoadContext::new(&base, Device::Cpu))?;
    let (last, batches) = {
        let inputs = model.inputs();
        let max_tokens = model.info().max_tokens;
        let context = DataContext { base: &base, tokenizer: model.tokenizer(), max_tokens, inputs: &inputs };
        let batches = data.open(&context)?.pass_over(u64::MAX)?;
        let mut all = data.open(&context)?;
        all.pass_over(batches.saturating_sub(1))?;
        let last = all.next_batch()?;
        (last.ok_or_else(|| Error::Usage("there is nothing in the data".to_owned()))?, batches)
    };
    let longest = last.samples.iter().map(|sample| sample.span.len()).max().unwrap_or(0);
    let size = (last.samples.len(), longest);
    let study = Study::of_batch(model, last)?;
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
    Ok(Shapes { batches, weights: takes::weights(graph), kept: takes::kept(graph, &request), last: size })
}
