//! A model under watch: its passes, and the proof that the watching changes nothing.

use std::sync::Arc;

use fmrai_core::capture::DispatchTracker;
use fmrai_core::graph::RecordedGraph;
use fmrai_core::model::{Model, ModelError, NamedTensors};
use fmrai_core::tracker::{Activations, BoxError, CaptureRequest, Tracker};

use super::ParityReport;
use crate::error::Error;
use crate::plan::Parity;

/// A model and the tracker that watches it.
pub(crate) struct Watched<'m> {
    model: &'m dyn Model,
    tracker: DispatchTracker,
    when: Parity,
    parity: Option<ParityReport>,
}

impl<'m> Watched<'m> {
    /// Compares with the untouched model as `when` says, going on from an earlier comparison.
    pub(crate) fn new(model: &'m dyn Model, when: Parity) -> Result<Self, Error> {
        Ok(Self { model, tracker: DispatchTracker::new()?, when, parity: None })
    }

    /// Records the graph of the model as it runs on `inputs`.
    pub(crate) fn discover(&mut self, inputs: &NamedTensors) -> Result<Arc<RecordedGraph>, Error> {
        for (name, tensor) in &inputs.0 {
            self.tracker.name_input(name, tensor);
        }
        for (name, tensor) in self.model.parameters() {
            self.tracker.name_parameter(&name, &tensor);
        }
        let model = self.model;
        let _guard = tch::no_grad_guard();
        let graph = self.tracker.discover(&mut || {
            model.forward(inputs).map_err(BoxError::from)?;
            Ok(())
        })?;
        Ok(graph)
    }

    /// Runs the model on `inputs` and keeps what was asked for.
    pub(crate) fn pass(
        &mut self,
        inputs: &NamedTensors,
        request: &CaptureRequest,
    ) -> Result<Box<dyn Activations>, Error> {
        let model = self.model;
        let _guard = tch::no_grad_guard();
        let compare = self.compares_next();
        let untouched = if compare { Some(model.forward(inputs)?) } else { None };
        let mut watched = None;
        let activations = self.tracker.track(request, &mut || {
            watched = Some(model.forward(inputs).map_err(|e: ModelError| BoxError::from(e))?);
            Ok(())
        })?;
        if let (Some(untouched), Some(watched)) = (untouched, watched) {
            self.parity.get_or_insert_default().compare(&untouched, &watched)?;
        }
        Ok(activations)
    }

    /// True if the next pass is compared with one of the untouched model.
    pub(crate) fn compares_next(&self) -> bool {
        match self.when {
            Parity::Off => false,
            Parity::First => self.parity.is_none(),
            Parity::Every => true,
        }
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
