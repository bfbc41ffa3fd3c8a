//! Passes of code that decides anew each time what it runs, such as a model in Python: several graphs of one model.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use fmrai_core::graph::RecordedGraph;
use fmrai_core::structure::Structure;
use fmrai_core::tracker::{BoxError, CaptureRequest, TrackError};

use super::actions::Actions;
use super::recording::{Discovery, Kept, ModelOutput, Named, Recorded, Recording, Reuse};
use crate::ffi::session::{Leaf, register};
use crate::ffi::tensor::Tensor;
use crate::model::{Footprint, Model, ModelError};

/// One of the graphs that passes of a model have followed.
pub struct LiveGraph {
    number: usize,
    recorded: Arc<Recorded>,
    structure: OnceLock<Structure>,
    with_lines: OnceLock<Arc<RecordedGraph>>,
}

impl LiveGraph {
    /// Position among the graphs of its model, from 0, in the order in which they were met.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The graph itself.
    #[must_use]
    pub fn graph(&self) -> &Arc<RecordedGraph> {
        &self.recorded.graph
    }

    /// The graph with the lines of source of its operations, once a pass along it was recorded with them.
    #[must_use]
    pub fn with_lines(&self) -> Option<&Arc<RecordedGraph>> {
        self.with_lines.get()
    }

    /// What the finders find in it.
    pub fn structure(&self) -> &Structure {
        self.structure.get_or_init(|| Structure::of(self.graph().as_ref()))
    }
}

impl fmt::Debug for LiveGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveGraph").field("number", &self.number).finish_non_exhaustive()
    }
}

/// How much is wanted of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Its graph.
    Graph,
    /// Some of its tensors too.
    Tensors,
    /// Something acts on it, so its graph has to be known before it runs.
    Actions,
}

/// Which run of the model it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The one that counts: whoever called the model gets its result. There may be a second one, which then counts instead.
    Counts,
    /// One that leaves no trace.
    Aside,
}

/// What is asked of a pass along a graph.
#[derive(Debug, Default)]
pub struct Ask {
    /// The tensors to keep.
    pub keep: CaptureRequest,
    /// What acts on it.
    pub actions: Actions,
    /// Leaves out of `keep` what a pass overwrites unseen, instead of failing: for those who want all that is to be had.
    pub as_far_as_seen: bool,
}

/// A pass that was watched.
#[derive(Debug)]
pub struct LivePass {
    /// The graph that it followed.
    pub graph: Arc<LiveGraph>,
    /// What was kept of it; `None` where nothing was asked for.
    pub kept: Option<Kept>,
}

/// Why a pass could not be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// Recording or tracking failed, or the model did.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// What the pass leaves in the model cannot be told.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// What was asked for is not to be had of the graph that the pass followed.
    #[error("{0}")]
    Ask(#[source] BoxError),
}

/// A call of a model, as often as it is needed.
pub trait LiveCall {
    /// The model: what a pass may change of it.
    fn model(&self) -> &dyn Model;

    /// Texts that are equal for calls that are likely to follow the same graph, such as the shapes of the inputs.
    fn form(&self) -> &str;

    /// The tensors that the call is given, by name.
    fn inputs(&self) -> Vec<(String, Tensor)>;

    /// True if the lines of source are wanted too: then the graph has them ([`LiveGraph::with_lines`]), also if that takes a pass aside.
    fn lines(&self) -> bool {
        false
    }

    /// Runs the model. Where the pass is `recorded`, modules are told by their [`scope`](super::scope), and lines by
    /// [`lines`](super::lines) where these are wanted.
    ///
    /// # Errors
    /// Any error of the model.
    fn run(&self, turn: Turn, recorded: bool) -> Result<(), BoxError>;

    /// What the last run gave back, by name, as far as these are tensors.
    fn outputs(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }
}

/// The graphs of a model whose code may take another path for other inputs.
///
/// A pass is compared with the graph that calls of the same form followed before. Where it leaves that graph, the one that it follows is
/// recorded aside: the model runs once more from the state that it had before the pass, and is put back. Ids belong to one graph;
/// selectors mean the same in each.
#[derive(Debug, Default)]
pub struct LiveGraphs {
    known: Vec<Arc<LiveGraph>>,
    by_form: BTreeMap<String, usize>,
    latest: Option<usize>,
}

/// What is asked of a pass along a graph.
type Asking<'a> = dyn FnMut(&LiveGraph) -> Result<Ask, BoxError> + 'a;

impl LiveGraphs {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The graphs that were met so far.
    #[must_use]
    pub fn known(&self) -> &[Arc<LiveGraph>] {
        &self.known
    }

    /// The graph that a call of this form is expected to follow.
    #[must_use]
    pub fn expected(&self, form: &str) -> Option<&Arc<LiveGraph>> {
        self.by_form.get(form).copied().or(self.latest).and_then(|number| self.known.get(number))
    }

    /// Runs the model under watch. `ask` says what is asked of a pass along a graph, and is asked once for each graph that comes into question.
    ///
    /// # Errors
    /// [`LiveError::Track`] with [`TrackError::Forward`] if the model fails; [`LiveError::Ask`] with the error of `ask` for the graph that
    /// the pass followed, after it has run.
    pub fn pass(
        &mut self,
        call: &dyn LiveCall,
        want: Want,
        ask: &mut Asking<'_>,
    ) -> Result<LivePass, LiveError> {
        register().map_err(TrackError::Internal)?;
        let form = call.form().to_owned();
        if want == Want::Graph {
            let graph = self.discover(call, Turn::Counts)?;
            self.met(form, &graph);
            return Ok(LivePass { graph, kept: None });
        }
        let pass = match self.expected(&form).cloned() {
            Some(expected) if !call.lines() || expected.with_lines().is_some() => {
                self.along(call, want, ask, expected)?
            }
            Some(_) => {
                let graph = self.aside(call)?;
                self.along(call, want, ask, graph)?
            }
            None if want == Want::Actions => {
                let graph = self.aside(call)?;
                self.along(call, want, ask, graph)?
            }
            None => self.first(call, ask)?,
        };
        self.met(form, &pass.graph);
        Ok(pass)
    }

    /// A pass of which nothing is known before: it is recorded, and what is asked for is kept of one aside.
    fn first(&mut self, call: &dyn LiveCall, ask: &mut Asking<'_>) -> Result<LivePass, LiveError> {
        let (graph, left) = Footprint::of(call.model(), || self.discover(call, Turn::Counts))?;
        let graph = graph?;
        let kept = kept_aside(call, &graph, ask, left)?;
        Ok(LivePass { graph, kept })
    }

    fn along(
        &mut self,
        call: &dyn LiveCall,
        want: Want,
        ask: &mut Asking<'_>,
        expected: Arc<LiveGraph>,
    ) -> Result<LivePass, LiveError> {
        // What cannot be asked of this graph may be asked of the one that the pass follows.
        let (asked, lacking) = match ask(&expected) {
            Ok(asked) => (asked, None),
            Err(error) => (Ask::default(), Some(error)),
        };
        let some = asked.keep.tensors().len() > 0;
        let pass = || track(call, &expected, asked, Turn::Counts);
        let (pass, mut left) = Footprint::of(call.model(), pass)?;
        match pass {
            Ok(kept) => match lacking {
                Some(error) => Err(LiveError::Ask(error)),
                None => Ok(LivePass { graph: expected, kept: some.then_some(kept) }),
            },
            Err(TrackError::Diverged(_)) => {
                left.take_back()?;
                let graph = self.aside(call)?;
                if want == Want::Actions {
                    let asked = ask(&graph).map_err(LiveError::Ask)?;
                    let some = asked.keep.tensors().len() > 0;
                    let kept = track(call, &graph, asked, Turn::Counts)?;
                    return Ok(LivePass { graph, kept: some.then_some(kept) });
                }
                let kept = kept_aside(call, &graph, ask, left)?;
                Ok(LivePass { graph, kept })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The graph of a pass that leaves no trace.
    fn aside(&mut self, call: &dyn LiveCall) -> Result<Arc<LiveGraph>, LiveError> {
        let (graph, mut left) = Footprint::of(call.model(), || self.discover(call, Turn::Aside))?;
        left.take_back()?;
        Ok(graph?)
    }

    fn discover(&mut self, call: &dyn LiveCall, turn: Turn) -> Result<Arc<LiveGraph>, TrackError> {
        let parameters = call.model().parameters();
        let parameters = parameters.into_iter().map(|(name, tensor)| (Leaf::Parameter, name, tensor));
        let inputs = call.inputs().into_iter().map(|(name, tensor)| (Leaf::Input, name, tensor));
        let named: Vec<Named> = parameters.chain(inputs).collect();
        let discovery = Discovery::begin(&named)?;
        let outcome = call.run(turn, true);
        let outputs = call.outputs().into_iter();
        let outputs: Vec<ModelOutput> =
            outputs.map(|(name, tensor)| ModelOutput { name, value: None, tensor }).collect();
        let recorded = discovery.end(outcome, &outputs)?;
        let with_lines = call.lines().then(|| Arc::clone(&recorded.graph));
        let same = self.known.iter().find(|known| known.recorded.is_same(&recorded)).map(Arc::clone);
        let graph = same.unwrap_or_else(|| {
            let (number, recorded) = (self.known.len(), Arc::new(recorded));
            let (structure, with_lines) = (OnceLock::new(), OnceLock::new());
            let graph = Arc::new(LiveGraph { number, recorded, structure, with_lines });
            self.known.push(Arc::clone(&graph));
            graph
        });
        if let Some(with_lines) = with_lines {
            // The first is as good as any later one.
            let _ = graph.with_lines.set(with_lines);
        }
        Ok(graph)
    }

    fn met(&mut self, form: String, graph: &LiveGraph) {
        self.by_form.insert(form, graph.number);
        self.latest = Some(graph.number);
    }
}

/// What is asked for, kept of a pass aside that starts from the same state as the one before it. What that one has left is there afterwards.
fn kept_aside(
    call: &dyn LiveCall,
    graph: &LiveGraph,
    ask: &mut Asking<'_>,
    mut left: Footprint<'_>,
) -> Result<Option<Kept>, LiveError> {
    let kept = match ask(graph) {
        Ok(asked) if asked.keep.tensors().len() == 0 && asked.actions.is_empty() => Ok(None),
        Ok(asked) => {
            left.take_back()?;
            let pass = || track(call, graph, asked, Turn::Aside);
            let (kept, mut aside) = Footprint::of(call.model(), pass)?;
            aside.take_back()?;
            kept.map(Some).map_err(LiveError::from)
        }
        Err(error) => Err(LiveError::Ask(error)),
    };
    left.bring_back()?;
    kept
}

fn track(call: &dyn LiveCall, graph: &LiveGraph, ask: Ask, turn: Turn) -> Result<Kept, TrackError> {
    let recording = Recording::begin(&graph.recorded, &ask.keep, ask.actions, Reuse::Nothing)?;
    let recording = recording.if_seen(ask.as_far_as_seen);
    let outcome = call.run(turn, false);
    recording.end_of(outcome)
}
