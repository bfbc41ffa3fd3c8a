//! Experiments under the laws of analyzers.

use std::sync::Arc;

use super::Recorded;
use crate::analyzer::{Analysis, Analyzer, AnalyzerError, ModelView, State};
use crate::batch::{Batch, Sample};
use crate::experiment::{Bench, Experiment};
use crate::report::{Report, Store};
use crate::tracker::CaptureRequest;

/// Calls something with the bench of a batch of these samples, on a live model. May be called on several threads at once.
pub type WithBench = dyn Fn(&[Sample], &mut dyn FnMut(&mut dyn Bench) -> Result<(), AnalyzerError>) -> Result<(), AnalyzerError>
    + Send
    + Sync;

/// An experiment as an analyzer that finds a bench for each batch itself, so that the [laws](super::contract::LAWS) can be tried on it. One that
/// goes through the data more than once does all its sweeps but the last over the recorded batches when it is prepared: laws are about the last.
#[must_use]
pub fn driven(
    experiment: Box<dyn Experiment>,
    bench: Arc<WithBench>,
    recorded: Arc<Recorded>,
) -> Box<dyn Analyzer> {
    Box::new(Driven { experiment, bench, recorded })
}

struct Driven {
    experiment: Box<dyn Experiment>,
    bench: Arc<WithBench>,
    recorded: Arc<Recorded>,
}

impl Analyzer for Driven {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let request = self.experiment.prepare(model)?;
        let recorded = Arc::clone(&self.recorded);
        for _ in 1..self.experiment.sweeps() {
            for batch in recorded.batches() {
                self.track_batch(&batch)?;
            }
            self.experiment.next_sweep()?;
        }
        Ok(request)
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let experiment = &mut self.experiment;
        (self.bench)(batch.samples(), &mut |bench| experiment.run_batch(batch, bench))
    }
}

impl Analysis for Driven {
    fn state(&self) -> Result<State, AnalyzerError> {
        self.experiment.state()
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        self.experiment.merge(state)
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        self.experiment.analyze()
    }

    fn interim(&self) -> Result<Option<Store>, AnalyzerError> {
        self.experiment.interim()
    }
}
