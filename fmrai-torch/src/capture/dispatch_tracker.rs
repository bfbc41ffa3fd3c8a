//! The tracker that listens at the dispatcher.

use std::sync::Arc;

use fmrai_core::graph::{OperationId, RecordedGraph};
use fmrai_core::tracker::{Activations, BoxError, CaptureRequest, Forward, TrackError, Tracker};

use super::actions::Actions;
use super::enough::{self, Enough};
use super::recording::{Discovery, ModelOutput, Named, Recorded, Recording, Reuse};
use crate::ffi::session::{Leaf, register};
use crate::ffi::tensor::Tensor;
use crate::model::{Model, NamedTensors};

/// Watches models that run on libtorch, on the thread that runs them. See the [module](super) for how.
pub struct DispatchTracker {
    named: Vec<Named>,
    recorded: Option<Arc<Recorded>>,
    explicit: Vec<OperationId>,
}

impl DispatchTracker {
    /// A tracker that has seen nothing yet. The first one installs the hook in the dispatcher.
    ///
    /// # Errors
    /// [`TrackError::Internal`] if libtorch refuses the hook.
    pub fn new() -> Result<Self, TrackError> {
        register().map_err(TrackError::Internal)?;
        Ok(Self { named: Vec::new(), recorded: None, explicit: Vec::new() })
    }

    /// Names a tensor that the next [`discover`](Tracker::discover) will find as an input of the graph.
    pub fn name_input(&mut self, name: &str, tensor: &Tensor) {
        self.named.push((Leaf::Input, name.to_owned(), tensor.clone()));
    }

    /// Names a weight or buffer of the model, for the next [`discover`](Tracker::discover).
    pub fn name_parameter(&mut self, name: &str, tensor: &Tensor) {
        self.named.push((Leaf::Parameter, name.to_owned(), tensor.clone()));
    }

    /// The fused attention operations that the last tracked pass answered in explicit form, because their
    /// probabilities were asked for here. With dropout in training, those are the probabilities after dropout.
    #[must_use]
    pub fn explicit_attention(&self) -> &[OperationId] {
        &self.explicit
    }

    /// As [`discover`](Tracker::discover), of a model with these inputs: inputs, weights and outputs have their names.
    ///
    /// # Errors
    /// As [`discover`](Tracker::discover).
    pub fn discover_model(
        &mut self,
        model: &dyn Model,
        inputs: &NamedTensors,
    ) -> Result<Arc<RecordedGraph>, TrackError> {
        for (name, tensor) in &inputs.0 {
            self.name_input(name, tensor);
        }
        for (name, tensor) in model.parameters() {
            self.name_parameter(&name, &tensor);
        }
        let values = model.output_values();
        self.record(&mut || {
            let outputs = model.forward(inputs).map_err(BoxError::from)?;
            let named = outputs.0.into_iter().map(|(name, tensor)| {
                let value = values.iter().find(|(output, _)| *output == name).map(|(_, value)| value.clone());
                ModelOutput { name, value, tensor }
            });
            Ok(named.collect())
        })
    }

    fn record(
        &mut self,
        forward: &mut dyn FnMut() -> Result<Vec<ModelOutput>, BoxError>,
    ) -> Result<Arc<RecordedGraph>, TrackError> {
        self.recorded = None;
        self.explicit.clear();
        let discovery = Discovery::begin(&self.named)?;
        let (outputs, outcome) = match forward() {
            Ok(outputs) => (outputs, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        let recorded = discovery.end(outcome, &outputs)?;
        self.named.clear();
        let graph = Arc::clone(&recorded.graph);
        self.recorded = Some(Arc::new(recorded));
        Ok(graph)
    }

    /// As [`track`](Tracker::track), of a pass that is run for the requested tensors alone: it is ended once all of them are there, so what
    /// would come after the last of them is not computed. The model sees that as an error, which is none of the result here.
    ///
    /// # Errors
    /// As [`track`](Tracker::track).
    pub fn track_to_the_last(
        &mut self,
        request: &CaptureRequest,
        forward: &mut Forward<'_>,
    ) -> Result<Box<dyn Activations>, TrackError> {
        let graph = self.graph().ok_or(TrackError::NothingDiscovered)?;
        let Some(place) = enough::place(graph.as_ref(), request) else { return self.track(request, forward) };
        let mut actions = Actions::none();
        actions.add(place, |_| Err(Box::new(Enough)));
        self.explicit.clear();
        let recording = self.begin(request, actions)?.that_may_end();
        let outcome = forward();
        let kept = recording.end_of(outcome)?;
        self.explicit = kept.explicit_attention().to_vec();
        Ok(Box::new(kept.into_activations()))
    }

    /// Begins a pass on this thread: what runs from now on is compared with the recorded graph, `request` is kept, and `actions` act,
    /// until the recording is ended or dropped.
    ///
    /// ```
    /// use fmrai_core::graph::Graph;
    /// use fmrai_core::tracker::{CaptureRequest, Tracker};
    /// use fmrai_torch::Tensor;
    /// use fmrai_torch::capture::{Actions, DispatchTracker, Place};
    ///
    /// let x = Tensor::from_slice(&[1.0f32, 2.0])?;
    /// let forward = || x.mul_scalar(2.0)?.mul_scalar(10.0);
    /// let mut tracker = DispatchTracker::new()?;
    /// let graph = tracker.discover(&mut || { forward()?; Ok(()) })?;
    /// let [doubled, result] = [0, 1].map(|i: usize| graph.operations()[i].outputs[0]);
    ///
    /// let mut actions = Actions::none();
    /// actions.add(Place::Tensor(doubled), |value| Ok(Some(value.mul_scalar(0.0)?))); // ablation
    /// let recording = tracker.begin(&CaptureRequest::from_iter([result]), actions)?;
    /// let made = forward()?;
    /// let kept = recording.end()?;
    /// assert_eq!(made.to_vec::<f32>()?, [0.0, 0.0]);
    /// assert_eq!(kept.tensor(result).unwrap().to_vec::<f32>()?, [0.0, 0.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TrackError::NothingDiscovered`], [`TrackError::UnknownTensor`], and [`TrackError::NoPlace`] for places where nothing can act.
    pub fn begin(&self, request: &CaptureRequest, actions: Actions) -> Result<Recording, TrackError> {
        let recorded = self.recorded.as_ref().ok_or(TrackError::NothingDiscovered)?;
        Recording::begin(recorded, request, actions, Reuse::Nothing)
    }

    /// As [`begin`](Self::begin), for a pass that is to be held as the clean one, or to be served from it.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_reusing(
        &self,
        request: &CaptureRequest,
        actions: Actions,
        reuse: Reuse<'_>,
    ) -> Result<Recording, TrackError> {
        let recorded = self.recorded.as_ref().ok_or(TrackError::NothingDiscovered)?;
        Recording::begin(recorded, request, actions, reuse)
    }

    /// The graph that passes are compared with; `None` before the first [`discover`](Tracker::discover).
    #[must_use]
    pub fn graph(&self) -> Option<&Arc<RecordedGraph>> {
        self.recorded.as_ref().map(|recorded| &recorded.graph)
    }
}

impl Tracker for DispatchTracker {
    fn discover(&mut self, forward: &mut Forward<'_>) -> Result<Arc<RecordedGraph>, TrackError> {
        self.record(&mut || forward().map(|()| Vec::new()))
    }

    fn track(
        &mut self,
        request: &CaptureRequest,
        forward: &mut Forward<'_>,
    ) -> Result<Box<dyn Activations>, TrackError> {
        self.explicit.clear();
        let recording = self.begin(request, Actions::none())?;
        let outcome = forward();
        let kept = recording.end_of(outcome)?;
        self.explicit = kept.explicit_attention().to_vec();
        Ok(Box::new(kept.into_activations()))
    }
}
