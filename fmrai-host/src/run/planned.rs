//! From a plan to its results.

use std::path::Path;
use std::time::Duration;

use super::budget::Budget;
use super::given::{GivenData, GivenModel};
use super::keeper::Place;
use super::lane::Lane;
use super::limit::Limit;
use super::options::Options;
use super::outcome::Outcome;
use super::start::{Start, Subject};
use super::stopwatch::Stopwatch;
use super::work::Work;
use crate::error::Error;
use crate::plan::{self, ResolvedPlan};
use crate::results::folder::OutputFolder;

/// Runs a plan and writes its results, in the pool of threads that it is called in.
///
/// # Errors
/// [`Error`]; the failure of an analysis is none, it is told in the [`Outcome`]. A run that cannot write its
/// results leaves a checkpoint where it can, so that nothing has to be computed again.
pub fn run(plan: ResolvedPlan, options: &Options<'_>) -> Result<Outcome, Error> {
    let stopwatch = Stopwatch::start();
    own_folder(&plan)?;
    let (mut folder, occupant) =
        OutputFolder::take(&plan.output, plan.document(), options.resume, options.force)?;
    let place = Place {
        folder: &mut folder,
        occupant,
        document: plan.document().clone(),
        file: Some(plan.file.clone()),
        checkpoint_every: Duration::from_secs(plan.checkpoint_seconds),
        report: plan.report,
    };
    let outcome = execute(plan, options, stopwatch, place);
    if outcome.is_err() {
        folder.leave();
    }
    outcome
}

/// The output folder must not be one that the run reads.
fn own_folder(plan: &ResolvedPlan) -> Result<(), Error> {
    let real = |path: &Path| path.canonicalize().ok();
    let Some(output) = real(&plan.output) else { return Ok(()) };
    let what = match &plan.source {
        _ if real(&plan.base).is_some_and(|base| base == output) => "the folder of the plan itself",
        plan::Source::Activations(path) if real(path).is_some_and(|path| path.starts_with(&output)) => {
            "the folder of the activations that are analysed"
        }
        _ => return Ok(()),
    };
    Err(Error::Usage(format!("the output folder is {what}, needed a folder of its own")))
}

fn execute(
    plan: ResolvedPlan,
    options: &Options<'_>,
    stopwatch: Stopwatch,
    place: Place<'_>,
) -> Result<Outcome, Error> {
    let limit = Limit::new(plan.batch_seconds);
    let limit = limit.map_err(|e| Error::Internal(format!("time cannot be watched: {e}")))?;
    let budget = Budget::new(plan.limits.memory)?;
    let device = plan.device.device().map_err(|what| Error::Usage(format!("device: {what}")))?;
    let ResolvedPlan { source, analyses, capture, structure, parity, base, on_error, .. } = plan;
    let lanes = analyses.into_iter().map(|analysis| Lane::new(analysis, limit.clone())).collect();
    let start = Start {
        limit,
        budget,
        on_error,
        stopwatch,
        place: Some(place),
        lanes,
        keep: |report| report.summary,
    };
    match source {
        plan::Source::Live { model, data } => {
            let model = GivenModel::Source(model);
            let data = match options.work {
                Work::Every(stride) => GivenData::Every(data, stride),
                _ => GivenData::Source(data),
            };
            start.live(Subject { model, data, base: &base, parity, device, capture, structure }, options)
        }
        plan::Source::Activations(path) => start.stored(&path, options),
    }
}
