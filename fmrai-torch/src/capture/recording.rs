//! Passes that begin and end where the caller says.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use fmrai_core::experiment::Place;
use fmrai_core::graph::{Graph, GraphOutput, OperationId, RecordedGraph, TensorId};
use fmrai_core::tracker::{BoxError, CaptureRequest, Divergence, TrackError};

use super::actions::{Action, Actions};
use super::captured::CapturedTensors;
use super::decode::{self, Left};
use super::enough::Enough;
use crate::ffi::clean::CleanPass;
use crate::ffi::session::{Act, Acted, Leaf, Session};
use crate::ffi::tensor::Tensor;

/// A graph, and what a later pass is compared with.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) graph: Arc<RecordedGraph>,
    hashes: Vec<u64>,
    results: Vec<u32>,
}

impl Recorded {
    /// True if the other pass ran the same operations on tensors with the same ids.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.hashes == other.hashes && self.results == other.results
    }
}

/// A tensor that a graph starts from, with its name.
pub(super) type Named = (Leaf, String, Tensor);

/// Something that a model gives back: its name, that of the value in a program, and the tensor.
pub(crate) struct ModelOutput {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    pub(crate) tensor: Tensor,
}

/// The outputs that are tensors of the pass, with their ids. Called before the pass is ended.
pub(super) fn known(session: &Session, outputs: &[ModelOutput]) -> Result<Vec<GraphOutput>, String> {
    let mut known = Vec::with_capacity(outputs.len());
    for ModelOutput { name, value, tensor } in outputs {
        if let Some(id) = session.id_of(tensor)? {
            known.push(GraphOutput { name: name.clone(), value: value.clone(), tensor: TensorId(id) });
        }
    }
    Ok(known)
}

/// A pass that is being recorded for its graph. Dropping it ends the watching.
pub(super) struct Discovery {
    session: Session,
}

impl Discovery {
    pub(super) fn begin(named: &[Named]) -> Result<Self, TrackError> {
        let mut session = Session::new().map_err(TrackError::Internal)?;
        for (kind, name, tensor) in named {
            session.name(tensor, *kind, name).map_err(TrackError::Internal)?;
        }
        session.begin().map_err(TrackError::Internal)?;
        Ok(Self { session })
    }

    /// Ends the pass, whose model gives back `outputs`.
    pub(super) fn end(
        mut self,
        outcome: Result<(), BoxError>,
        outputs: &[ModelOutput],
    ) -> Result<Recorded, TrackError> {
        let outputs = known(&self.session, outputs).map_err(TrackError::Internal)?;
        ended(&mut self.session, outcome)?;
        let bytes = self.session.recording().map_err(TrackError::Internal)?;
        let recording = decode::recording(&bytes).map_err(TrackError::Internal)?;
        let graph = RecordedGraph::new(recording.operations, recording.tensors)
            .and_then(|graph| graph.with_outputs(outputs))
            .map_err(|e| TrackError::Internal(e.to_string()))?;
        Ok(Recorded { graph: Arc::new(graph), hashes: recording.hashes, results: recording.results })
    }
}

/// Ends the watching, and says what went wrong. What the model says comes first: the end of a pass that failed may fail for the same
/// reason.
fn ended(session: &mut Session, outcome: Result<(), BoxError>) -> Result<(), TrackError> {
    let ended = session.end();
    outcome.map_err(TrackError::Forward)?;
    ended.map_err(TrackError::Internal)?;
    match session.elsewhere().map_err(TrackError::Internal)? {
        (0, _) => Ok(()),
        (operations, first) => Err(TrackError::OtherThreads { operations, first }),
    }
}

/// What a pass has to do with one that was before it.
#[derive(Clone, Copy, Default)]
pub enum Reuse<'c> {
    /// Nothing.
    #[default]
    Nothing,
    /// It is the clean one, and what it makes is held for later ones.
    Fill(&'c CleanPass),
    /// Operations that nothing that acts on the pass can have changed are answered with what they made in the clean one. That was a pass of
    /// the same graph on the same inputs from the same state.
    Serve(&'c CleanPass),
}

/// A pass that is being watched, from [`DispatchTracker::begin`](super::DispatchTracker::begin) to [`end`](Self::end), on the thread
/// where it began. Dropping it ends the watching. Recordings of a thread nest, and may end in any order.
pub struct Recording {
    session: Session,
    recorded: Arc<Recorded>,
    request: CaptureRequest,
    explicit: Vec<OperationId>,
    failed: Rc<RefCell<Option<TrackError>>>,
    /// Where something acts that has not been called.
    idle: Rc<RefCell<BTreeSet<Place>>>,
    /// What was not seen is left out.
    as_far_as_seen: bool,
    /// What acts on it may end it, having [`Enough`].
    may_end: bool,
}

impl Recording {
    pub(super) fn begin(
        recorded: &Arc<Recorded>,
        request: &CaptureRequest,
        actions: Actions,
        reuse: Reuse<'_>,
    ) -> Result<Self, TrackError> {
        let graph = &recorded.graph;
        let mut wanted = vec![0; graph.tensors().len()];
        let mut explicit = vec![0; graph.operations().len()];
        for id in request.tensors() {
            let Some(tensor) = graph.tensor(id) else { return Err(unknown(graph, id)) };
            wanted[id.0 as usize] = 1;
            if let (true, Some(operation)) = (tensor.on_request, graph.producer(id)) {
                explicit[operation.id.0 as usize] = 1;
            }
        }
        let mut session = Session::new().map_err(TrackError::Internal)?;
        session
            .expect(&recorded.hashes, &recorded.results, &explicit, &wanted)
            .map_err(TrackError::Internal)?;
        let failed = Rc::new(RefCell::new(None));
        let idle = Rc::new(RefCell::new(BTreeSet::new()));
        if !actions.is_empty() {
            let (results, scores) = flags(graph, &actions, &mut explicit)?;
            idle.borrow_mut().extend(actions.places());
            let act = acting(actions, Rc::clone(&failed), Rc::clone(&idle));
            session.act(&results, &scores, act).map_err(TrackError::Internal)?;
        }
        match reuse {
            Reuse::Nothing => {}
            Reuse::Fill(clean) => session.fill(clean),
            Reuse::Serve(clean) => session.serve(clean),
        }
        session.begin().map_err(TrackError::Internal)?;
        let explicit =
            (0u32..).zip(&explicit).filter(|(_, e)| **e != 0).map(|(i, _)| OperationId(i)).collect();
        Ok(Self {
            session,
            recorded: Arc::clone(recorded),
            request: request.clone(),
            explicit,
            failed,
            idle,
            as_far_as_seen: false,
            may_end: false,
        })
    }

    /// Leaves out what was overwritten unseen, or is not made in this pass, instead of failing.
    pub(super) fn if_seen(self, yes: bool) -> Self {
        Self { as_far_as_seen: yes, ..self }
    }

    /// Lets what acts end the pass: then what was kept up to there counts.
    pub(super) fn that_may_end(self) -> Self {
        Self { may_end: true, ..self }
    }

    /// Ends the pass; what the model returned is not needed.
    ///
    /// # Errors
    /// As [`Tracker::track`](fmrai_core::tracker::Tracker::track); [`TrackError::Action`] if what acts on it failed.
    pub fn end(self) -> Result<Kept, TrackError> {
        self.end_of(Ok(()))
    }

    /// Ends the pass whose model returned `outcome`: its error comes before those that follow from it.
    ///
    /// # Errors
    /// As [`end`](Self::end), and [`TrackError::Forward`].
    pub fn end_of(mut self, outcome: Result<(), BoxError>) -> Result<Kept, TrackError> {
        let failed = self.failed.borrow_mut().take();
        let enough = self.may_end
            && matches!(&failed, Some(TrackError::Action { source, .. }) if source.is::<Enough>());
        // That the pass was ended is no failure of the model.
        let ended = ended(&mut self.session, if enough { Ok(()) } else { outcome });
        if let Some(error) = failed.filter(|_| !enough) {
            return Err(error);
        }
        ended?;
        if let Some(divergence) = self.left()?.filter(|left| !enough || left.found.is_some()) {
            return Err(TrackError::Diverged(divergence));
        }
        if let Some(place) = self.idle.borrow().first() {
            let why = "its operation gives nothing back that could be replaced";
            return Err(TrackError::NoPlace { place: place.to_string(), why });
        }
        let mut tensors = Vec::new();
        for (id, tensor) in self.session.take().map_err(TrackError::Internal)? {
            match tensor {
                Some(tensor) => tensors.push((TensorId(id), tensor)),
                None if self.as_far_as_seen => {}
                None => return Err(TrackError::NotSeen(TensorId(id))),
            }
        }
        if self.as_far_as_seen {
            return Ok(Kept { tensors, explicit: std::mem::take(&mut self.explicit) });
        }
        match self.request.tensors().find(|id| !tensors.iter().any(|(kept, _)| kept == id)) {
            Some(missing) => Err(TrackError::NotSeen(missing)),
            None => Ok(Kept { tensors, explicit: std::mem::take(&mut self.explicit) }),
        }
    }

    fn left(&self) -> Result<Option<Divergence>, TrackError> {
        let bytes = self.session.divergence().map_err(TrackError::Internal)?;
        let side = |at: OperationId| self.recorded.graph.operation(at).map(ToString::to_string);
        Ok(match decode::divergence(&bytes).map_err(TrackError::Internal)? {
            Left::No => None,
            Left::At(at, found) => {
                Some(Divergence { at, recorded: side(at), found: Some(found.to_string()) })
            }
            Left::Ended(at) => Some(Divergence { at, recorded: side(at), found: None }),
        })
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("request", &self.request).finish_non_exhaustive()
    }
}

fn unknown(graph: &RecordedGraph, found: TensorId) -> TrackError {
    let last = u32::try_from(graph.tensors().len().saturating_sub(1)).unwrap_or(u32::MAX);
    TrackError::UnknownTensor { found, last }
}

/// Where something acts: a flag for each tensor, and for the scores of each operation. Operations within which something acts are
/// answered in explicit form.
fn flags(
    graph: &RecordedGraph,
    actions: &Actions,
    explicit: &mut [u8],
) -> Result<(Vec<u8>, Vec<u8>), TrackError> {
    let mut results = vec![0; graph.tensors().len()];
    let mut scores = vec![0; graph.operations().len()];
    for place in actions.places() {
        let no = |why| Err(TrackError::NoPlace { place: place.to_string(), why });
        match place {
            Place::Tensor(id) => {
                let Some(tensor) = graph.tensor(id) else { return Err(unknown(graph, id)) };
                let Some(producer) = graph.producer(id) else {
                    return no("it is given to the pass, not made by it: give another one");
                };
                let position = producer.outputs.iter().position(|output| *output == id);
                if tensor.version_of.is_some() && position != Some(0) {
                    return no(
                        "it is another view of memory that an operation writes: act on what that operation gives back",
                    );
                }
                results[id.0 as usize] = 1;
                if tensor.on_request {
                    explicit[producer.id.0 as usize] = 1;
                }
            }
            Place::Scores(operation) => {
                let fused = graph.operation(operation).is_some_and(|found| {
                    found.outputs.iter().any(|id| graph.tensor(*id).is_some_and(|t| t.on_request))
                });
                if !fused {
                    return no("only fused attention has scores that are no tensor of the graph");
                }
                scores[operation.0 as usize] = 1;
                explicit[operation.0 as usize] = 1;
            }
        }
    }
    Ok((results, scores))
}

/// What the session calls.
fn acting(
    mut actions: Actions,
    failed: Rc<RefCell<Option<TrackError>>>,
    idle: Rc<RefCell<BTreeSet<Place>>>,
) -> Act {
    Box::new(move |acted, value| {
        let place = match acted {
            Acted::Result(id) => Place::Tensor(TensorId(id)),
            Acted::Scores(operation) => Place::Scores(OperationId(operation)),
        };
        let Some(all) = actions.at.get_mut(&place) else { return Ok(None) };
        idle.borrow_mut().remove(&place);
        let made = catch_unwind(AssertUnwindSafe(|| act(all, value))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(format!("it panicked: {text}").into())
        });
        made.map_err(|source| {
            *failed.borrow_mut() = Some(TrackError::Action { place: place.to_string(), source });
        })
    })
}

/// What all of them make of a tensor, one after the other.
fn act(actions: &mut [Action], value: &Tensor) -> Result<Option<Tensor>, BoxError> {
    let mut made: Option<Tensor> = None;
    for action in actions {
        let now = made.as_ref().unwrap_or(value);
        let Some(other) = action(now)? else { continue };
        let form = |tensor: &Tensor| (tensor.size(), tensor.dtype(), tensor.device());
        let floats = other.dtype().is_float() && value.dtype().is_float();
        let other =
            if floats && other.dtype() != value.dtype() { other.to_dtype(value.dtype())? } else { other };
        if !other.is_defined() || form(&other) != form(value) {
            let (found, needed) = (form(&other), form(value));
            return Err(format!(
                "it gave {:?} of {} on {}, needed {:?} of {} on {}",
                found.0, found.1, found.2, needed.0, needed.1, needed.2
            )
            .into());
        }
        made = Some(other);
    }
    Ok(made)
}

/// The tensors that were kept of a pass, on the device of the model and outside of its record of gradients. They may share memory with
/// others, so what the model writes afterwards may change them; [`into_activations`](Self::into_activations) gives memory of their
/// own. To keep a tensor within the record of gradients, let an [`Action`] keep a clone of what it is shown.
#[derive(Debug, Clone)]
pub struct Kept {
    tensors: Vec<(TensorId, Tensor)>,
    explicit: Vec<OperationId>,
}

impl Kept {
    /// The tensor with this id, if it was asked for.
    #[must_use]
    pub fn tensor(&self, id: TensorId) -> Option<&Tensor> {
        self.tensors.iter().find(|(kept, _)| *kept == id).map(|(_, tensor)| tensor)
    }

    /// The ids of what was kept.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = TensorId> + '_ {
        self.tensors.iter().map(|(id, _)| *id)
    }

    /// The fused attention operations that were answered in explicit form, because their probabilities were asked for, or because
    /// something acted inside of them. With dropout in training, probabilities are those after dropout.
    #[must_use]
    pub fn explicit_attention(&self) -> &[OperationId] {
        &self.explicit
    }

    /// The tensors as dense memory that nobody else can reach.
    #[must_use]
    pub fn into_activations(self) -> CapturedTensors {
        CapturedTensors::new(self.tensors)
    }
}
