//! A model under watch: its passes, and the proof that the watching changes nothing.

use std::sync::Arc;

use fmrai_core::graph::RecordedGraph;
use fmrai_core::tracker::{Activations, BoxError, CaptureRequest, Tracker};
use fmrai_torch::bench::{BenchInputs, BenchSettings, ModelBench};
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::model::{Footprint, Model, ModelError, NamedTensors, RowLimits};
use fmrai_torch::no_grad;

use super::parity::{ParityReport, precision};
use crate::error::Error;
use crate::plan::Parity;

/// A model and the tracker that watches it.
pub(crate) struct Watched<'m> {
    model: &'m dyn Model,
    tracker: DispatchTracker,
    when: Parity,
    parity: Option<ParityReport>,
    /// Inputs that the model writes into: each pass gets a copy.
    written: Vec<String>,
    /// Whether a pass changes what a later one gives.
    stateful: bool,
    /// What rounding alone may change of an output, as a share of its largest magnitude.
    rounding: f64,
}

impl<'m> Watched<'m> {
    /// Compares with the untouched model as `when` says, going on from an earlier comparison.
    pub(crate) fn new(model: &'m dyn Model, when: Parity) -> Result<Self, Error> {
        let tracker = DispatchTracker::new()?;
        let (written, rounding) = (Vec::new(), 0.0);
        Ok(Self { model, tracker, when, parity: None, written, stateful: false, rounding })
    }

    /// Records the graph of the model as it runs on `inputs`. Inputs and model are as they were afterwards.
    pub(crate) fn discover(&mut self, inputs: &NamedTensors) -> Result<Arc<RecordedGraph>, Error> {
        let (model, tracker) = (self.model, &mut self.tracker);
        let _guard = no_grad();
        let (graph, mut left) = Footprint::of(model, || tracker.discover_model(model, inputs))?;
        self.stateful = left.lasts(inputs)?;
        let written = inputs.0.iter().filter(|(_, tensor)| left.wrote(tensor));
        self.written = written.map(|(name, _)| name.clone()).collect();
        left.take_back()?;
        let graph = graph?;
        self.rounding = precision(graph.as_ref());
        Ok(graph)
    }

    /// Runs the model on `inputs`, which stay as they are, and keeps what was asked for.
    ///
    /// Where the untouched model runs too, both start from the same state, and the watched one leaves it. Where it does not, and a pass leaves
    /// nothing in the model, what comes after the last tensor that was asked for is not computed.
    pub(crate) fn pass(
        &mut self,
        inputs: &NamedTensors,
        request: &CaptureRequest,
    ) -> Result<Box<dyn Activations>, Error> {
        let (model, tracker) = (self.model, &mut self.tracker);
        let _guard = no_grad();
        let inputs = &own(inputs, &self.written)?;
        if !compares(self.when, self.parity.as_ref()) {
            let mut forward = || model.forward(inputs).map(|_| ()).map_err(BoxError::from);
            // Nobody needs what it gives; but what it leaves may be needed.
            let kept = match self.stateful {
                false => tracker.track_to_the_last(request, &mut forward),
                true => tracker.track(request, &mut forward),
            };
            return Ok(kept?);
        }
        let mut watched = None;
        let pass = || {
            tracker.track(request, &mut || {
                watched = Some(model.forward(inputs).map_err(|e: ModelError| BoxError::from(e))?);
                Ok(())
            })
        };
        let (activations, mut left) = Footprint::of(model, pass)?;
        let activations = activations?;
        let watched = left.keep(watched.unwrap_or_default())?;
        left.take_back()?;
        let untouched = model.forward(inputs);
        let untouched = untouched.and_then(|outputs| left.keep(outputs));
        left.bring_back()?;
        self.parity.get_or_insert_default().compare(&untouched?, &watched, self.rounding)?;
        Ok(activations)
    }

    /// Runs the model on `inputs`, keeps what was asked for, and leaves no trace: the pass is none of the run's.
    pub(crate) fn aside(
        &mut self,
        inputs: &NamedTensors,
        request: &CaptureRequest,
    ) -> Result<Box<dyn Activations>, Error> {
        let (model, tracker) = (self.model, &mut self.tracker);
        let _guard = no_grad();
        let inputs = &own(inputs, &self.written)?;
        let (activations, mut left) = Footprint::of(model, || {
            tracker.track(request, &mut || {
                model.forward(inputs).map_err(BoxError::from)?;
                Ok(())
            })
        })?;
        left.take_back()?;
        Ok(activations?)
    }

    /// How few rows the model takes; `None` where their number is fixed, or a pass depends on those before. `whole` names inputs whose rows are no
    /// samples.
    pub(crate) fn least_rows(&self, whole: &[String]) -> Option<usize> {
        let limits = RowLimits::of(self.model, whole);
        (limits.fixed.is_none() && !self.stateful).then_some(limits.least)
    }

    /// Where variants of a batch are run, on so many positions together at the most. They leave no trace, neither in the model nor in the inputs.
    pub(crate) fn bench<'b>(
        &'b self,
        batch: BenchInputs<'b>,
        positions: Option<usize>,
    ) -> Result<ModelBench<'b>, Error> {
        let mut settings = BenchSettings::default();
        if let Some(most) = positions {
            settings.packed_positions = settings.packed_positions.min(most);
        }
        let bench = ModelBench::new(self.model, &self.tracker, batch, settings);
        bench.map_err(|error| Error::Internal(error.to_string()))
    }

    /// Runs the model on `inputs` for what the pass leaves in the model alone.
    pub(crate) fn pass_over(&mut self, inputs: &NamedTensors) -> Result<(), Error> {
        if self.stateful {
            let _guard = no_grad();
            self.model.forward(&own(inputs, &self.written)?)?;
        }
        Ok(())
    }

    /// True if a pass changes what a later one gives.
    pub(crate) fn is_stateful(&self) -> bool {
        self.stateful
    }

    /// True if the next pass is compared with one of the untouched model.
    pub(crate) fn compares_next(&self) -> bool {
        compares(self.when, self.parity.as_ref())
    }

    /// What the comparisons have given; `None` before the first.
    pub(crate) fn parity(&self) -> Option<&ParityReport> {
        self.parity.as_ref()
    }

    /// Goes on from the comparisons of an interrupted run.
    pub(crate) fn set_parity(&mut self, parity: Option<ParityReport>) {
        self.parity = parity;
    }
}

fn compares(when: Parity, so_far: Option<&ParityReport>) -> bool {
    match when {
        Parity::Off => false,
        Parity::First => so_far.is_none(),
        Parity::Every => true,
    }
}

/// The inputs, with copies of those that the model writes into.
fn own(inputs: &NamedTensors, written: &[String]) -> Result<NamedTensors, Error> {
    let mut own = Vec::with_capacity(inputs.0.len());
    for (name, tensor) in &inputs.0 {
        let copied = written.contains(name);
        let tensor = if copied { tensor.detached_copy().map_err(ModelError::from)? } else { tensor.clone() };
        own.push((name.clone(), tensor));
    }
    Ok(NamedTensors(own))
}
