//! The tracker that listens at the dispatcher.

use std::sync::Arc;

use crate::ffi::tensor::Tensor;

use super::captured::CapturedTensors;
use super::decode::{self, Left};
use crate::ffi::session::{Leaf, Session, register};
use fmrai_core::graph::{Graph, OperationId, RecordedGraph, TensorId};
use fmrai_core::tracker::{Activations, CaptureRequest, Divergence, Forward, TrackError, Tracker};

/// Watches models that run on libtorch, on the thread that runs them. See the [module](super) for how.
pub struct DispatchTracker {
    named: Vec<(Leaf, String, Tensor)>,
    recorded: Option<Recorded>,
    explicit: Vec<OperationId>,
}

struct Recorded {
    graph: Arc<RecordedGraph>,
    hashes: Vec<u64>,
    results: Vec<u32>,
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

    fn requested(recorded: &Recorded, request: &CaptureRequest) -> Result<(Vec<u8>, Vec<u8>), TrackError> {
        let graph = &recorded.graph;
        let mut wanted = vec![0; graph.tensors().len()];
        let mut explicit = vec![0; graph.operations().len()];
        for id in request.tensors() {
            let Some(tensor) = graph.tensor(id) else {
                let last = u32::try_from(wanted.len().saturating_sub(1)).unwrap_or(u32::MAX);
                return Err(TrackError::UnknownTensor { found: id, last });
            };
            wanted[id.0 as usize] = 1;
            if let (true, Some(operation)) = (tensor.on_request, graph.producer(id)) {
                explicit[operation.id.0 as usize] = 1;
            }
        }
        Ok((wanted, explicit))
    }

    fn left(recorded: &Recorded, session: &Session) -> Result<Option<Divergence>, TrackError> {
        let bytes = session.divergence().map_err(TrackError::Internal)?;
        let side = |at: OperationId| recorded.graph.operation(at).map(ToString::to_string);
        Ok(match decode::divergence(&bytes).map_err(TrackError::Internal)? {
            Left::No => None,
            Left::At(at, found) => {
                Some(Divergence { at, recorded: side(at), found: Some(found.to_string()) })
            }
            Left::Ended(at) => Some(Divergence { at, recorded: side(at), found: None }),
        })
    }
}

/// Runs `forward` under `session`. The hook is off again afterwards, also if `forward` panics.
fn run(session: &mut Session, forward: &mut Forward<'_>) -> Result<(), TrackError> {
    let watch = session.watch().map_err(TrackError::Internal)?;
    let outcome = forward();
    let ended = watch.end();
    // What the model says comes first: the end of a pass that failed may fail for the same reason.
    outcome.map_err(TrackError::Forward)?;
    ended.map_err(TrackError::Internal)?;
    match session.elsewhere().map_err(TrackError::Internal)? {
        (0, _) => Ok(()),
        (operations, first) => Err(TrackError::OtherThreads { operations, first }),
    }
}

impl Tracker for DispatchTracker {
    fn discover(&mut self, forward: &mut Forward<'_>) -> Result<Arc<RecordedGraph>, TrackError> {
        self.recorded = None;
        self.explicit.clear();
        let mut session = Session::new().map_err(TrackError::Internal)?;
        for (kind, name, tensor) in &self.named {
            session.name(tensor, *kind, name).map_err(TrackError::Internal)?;
        }
        run(&mut session, forward)?;
        self.named.clear();
        let bytes = session.recording().map_err(TrackError::Internal)?;
        let recording = decode::recording(&bytes).map_err(TrackError::Internal)?;
        let graph = RecordedGraph::new(recording.operations, recording.tensors)
            .map_err(|e| TrackError::Internal(e.to_string()))?;
        let graph = Arc::new(graph);
        let (hashes, results) = (recording.hashes, recording.results);
        self.recorded = Some(Recorded { graph: Arc::clone(&graph), hashes, results });
        Ok(graph)
    }

    fn track(
        &mut self,
        request: &CaptureRequest,
        forward: &mut Forward<'_>,
    ) -> Result<Box<dyn Activations>, TrackError> {
        self.explicit.clear();
        let recorded = self.recorded.as_ref().ok_or(TrackError::NothingDiscovered)?;
        let (wanted, explicit) = Self::requested(recorded, request)?;
        let mut session = Session::new().map_err(TrackError::Internal)?;
        session
            .expect(&recorded.hashes, &recorded.results, &explicit, &wanted)
            .map_err(TrackError::Internal)?;
        run(&mut session, forward)?;
        if let Some(divergence) = Self::left(recorded, &session)? {
            return Err(TrackError::Diverged(divergence));
        }
        self.explicit =
            (0u32..).zip(&explicit).filter(|(_, e)| **e != 0).map(|(i, _)| OperationId(i)).collect();
        let mut kept = Vec::new();
        for (id, tensor) in session.take().map_err(TrackError::Internal)? {
            kept.push((TensorId(id), tensor.ok_or(TrackError::NotSeen(TensorId(id)))?));
        }
        drop(session);
        let captured = CapturedTensors::new(kept);
        match request.tensors().find(|id| !captured.contains(*id)) {
            Some(missing) => Err(TrackError::NotSeen(missing)),
            None => Ok(Box::new(captured)),
        }
    }
}
