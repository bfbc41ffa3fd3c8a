//! Live models: what watches their passes.

use std::cell::RefCell;
use std::sync::{Mutex, TryLockError};

use fmrai_core::graph::{OperationId, TensorId};
use fmrai_core::tracker::{BoxError, CaptureRequest};
use fmrai_torch::Tensor;
use fmrai_torch::capture::{Actions, Ask, LiveCall, LiveGraph, LiveGraphs, Place, Turn, Want, lines};
use fmrai_torch::model::Model;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::boundary::{attached, tensor_of};
use crate::error::{TrackingError, of_live};
use crate::graph::Graph;
use crate::model::{Named, PyModel};
use crate::pass::Pass;
use crate::tensor::to_python;

/// The graphs of a live model.
#[pyclass(frozen, module = "fmrai._native")]
pub(crate) struct Live {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    graphs: LiveGraphs,
    /// The same graphs as Python has them.
    views: Vec<Py<Graph>>,
}

/// Where something acts, and what: the id of a tensor, or the position of a fused attention operation whose scores are meant.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Acting {
    scores: bool,
    at: u32,
    action: Py<PyAny>,
}

struct PyCall {
    model: PyModel,
    form: String,
    inputs: Vec<(String, Tensor)>,
    run: Py<PyAny>,
    /// Tells the line of source of what calls it; `None` where lines are not wanted.
    line: Option<Py<PyAny>>,
    outputs: RefCell<Vec<(String, Tensor)>>,
}

impl LiveCall for PyCall {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn form(&self) -> &str {
        &self.form
    }

    fn inputs(&self) -> Vec<(String, Tensor)> {
        self.inputs.clone()
    }

    fn lines(&self) -> bool {
        self.line.is_some()
    }

    fn run(&self, turn: Turn, recorded: bool) -> Result<(), BoxError> {
        let counts = turn == Turn::Counts;
        let line =
            self.line.as_ref().filter(|_| recorded).map(|line| Python::attach(|py| line.clone_ref(py)));
        let _lines = line.map(|line| lines(move || attached(|py| told(py, &line))));
        let ran = Python::attach(|py| -> PyResult<()> {
            let made = self.run.call1(py, (counts, recorded))?;
            let named: Option<Vec<Named<'_>>> = made.extract(py)?;
            let own = |(name, tensor): Named<'_>| Ok((name, tensor_of(&tensor)?));
            let outputs = named.into_iter().flatten().map(own).collect::<PyResult<Vec<_>>>()?;
            *self.outputs.borrow_mut() = outputs;
            Ok(())
        });
        ran.map_err(BoxError::from)
    }

    fn outputs(&self) -> Vec<(String, Tensor)> {
        self.outputs.take()
    }
}

#[pymethods]
impl Live {
    #[new]
    fn new() -> Self {
        Self { state: Mutex::default() }
    }

    /// Runs `run(counts, recorded)` under watch, which gives the tensors that the model returns by name where it is recorded. `want` is `graph`, `tensors` or `actions`; `ask(graph)` gives the ids of what to keep, what acts,
    /// and whether what is overwritten unseen is left out. `line()` gives the line of source of what calls it, where lines are wanted.
    #[expect(clippy::too_many_arguments, reason = "one call from one place")]
    fn watch(
        &self,
        py: Python<'_>,
        bridge: Py<PyAny>,
        form: String,
        inputs: Vec<Named<'_>>,
        want: &str,
        ask: Py<PyAny>,
        run: Py<PyAny>,
        line: Option<Py<PyAny>>,
    ) -> PyResult<Pass> {
        let want = match want {
            "graph" => Want::Graph,
            "tensors" => Want::Tensors,
            "actions" => Want::Actions,
            other => return Err(PyValueError::new_err(format!("{other:?} is no kind of pass"))),
        };
        // Never waited for: who has it may be waiting for what this thread holds.
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(broken)) => broken.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(TrackingError::new_err(
                    "another thread watches a pass of this model: one pass of a model at a time can be watched",
                ));
            }
        };
        let inputs = inputs.into_iter().map(|(name, tensor)| Ok((name, tensor_of(&tensor)?)));
        let inputs = inputs.collect::<PyResult<Vec<_>>>()?;
        let call =
            PyCall { model: PyModel::bare(bridge), form, inputs, run, line, outputs: RefCell::default() };
        let State { graphs, views } = &mut *state;
        let views = RefCell::new(views);
        let mut asked = |graph: &LiveGraph| -> Result<Ask, BoxError> {
            let view = view(py, &mut views.borrow_mut(), graph)?;
            let (keep, acting, as_far_as_seen): (Vec<u32>, Vec<Acting>, bool) =
                ask.call1(py, (view,))?.extract(py)?;
            let keep = keep.into_iter().map(TensorId).collect::<CaptureRequest>();
            Ok(Ask { keep, actions: actions(acting), as_far_as_seen })
        };
        let pass = graphs.pass(&call, want, &mut asked).map_err(of_live)?;
        let graph = view(py, &mut views.borrow_mut(), &pass.graph)?;
        Ok(Pass { graph, kept: Mutex::new(pass.kept) })
    }

    /// The graphs that passes have followed so far.
    fn graphs(&self, py: Python<'_>) -> Vec<Py<Graph>> {
        let state = self.state.try_lock();
        state.map(|state| state.views.iter().map(|view| view.clone_ref(py)).collect()).unwrap_or_default()
    }
}

fn view(py: Python<'_>, views: &mut Vec<Py<Graph>>, graph: &LiveGraph) -> PyResult<Py<Graph>> {
    let known = views.iter().find(|view| view.get().is(graph)).map(|known| known.clone_ref(py));
    let view = match known {
        Some(known) => known,
        None => {
            let made = Py::new(py, Graph::live(graph))?;
            views.push(made.clone_ref(py));
            made
        }
    };
    if let Some(lines) = graph.with_lines() {
        view.get().set_lines(lines);
    }
    Ok(view)
}

fn actions(all: Vec<Acting>) -> Actions {
    let mut actions = Actions::none();
    for Acting { scores, at, action } in all {
        let place = if scores { Place::Scores(OperationId(at)) } else { Place::Tensor(TensorId(at)) };
        actions.add(place, move |value| attached(|py| act(py, &action, value)));
    }
    actions
}

/// The line of source; empty where Python cannot tell it.
fn told(py: Python<'_>, line: &Py<PyAny>) -> String {
    line.call0(py).and_then(|text| text.extract(py)).unwrap_or_default()
}

fn act(py: Python<'_>, action: &Py<PyAny>, value: &Tensor) -> Result<Option<Tensor>, BoxError> {
    let made = action.bind(py).call1((to_python(py, value)?,))?;
    if made.is_none() {
        return Ok(None);
    }
    Ok(Some(tensor_of(&made)?))
}
