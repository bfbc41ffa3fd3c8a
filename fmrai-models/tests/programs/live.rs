//! Passes of code that takes other ways for other inputs.

use std::cell::{Cell, RefCell};

use fmrai_core::graph::{Graph, TensorId};
use fmrai_core::selector::{Selector, select};
use fmrai_core::tracker::{BoxError, TrackError};
use fmrai_torch::capture::{Actions, Ask, LiveCall, LiveError, LiveGraph, LiveGraphs, Place, Turn, Want};
use fmrai_torch::model::{InputSpec, Model, ModelError, ModelInfo, NamedTensors};
use fmrai_torch::text::Tokenizer;
use tch::Tensor;

use crate::cases::written_in_a_test;
use crate::tensors::{AsTch, named};

/// Adds to a buffer, and doubles or triples what it is given, by its sign.
struct Signs {
    info: ModelInfo,
    buffer: RefCell<Tensor>,
}

impl Model for Signs {
    fn info(&self) -> &ModelInfo {
        &self.info
    }
    fn parameters(&self) -> Vec<(String, fmrai_torch::Tensor)> {
        named([("buffer", self.buffer.borrow().shallow_clone())]).0
    }
    fn tokenizer(&self) -> Option<&Tokenizer> {
        None
    }
    fn inputs(&self) -> Vec<InputSpec> {
        Vec::new()
    }
    fn forward(&self, _: &NamedTensors) -> Result<NamedTensors, ModelError> {
        Ok(NamedTensors::default())
    }
}

struct Call<'m> {
    model: &'m Signs,
    x: Tensor,
    /// The result of the run that counts.
    result: RefCell<Option<Tensor>>,
    runs: Cell<u32>,
}

impl LiveCall for Call<'_> {
    fn model(&self) -> &dyn Model {
        self.model
    }
    fn form(&self) -> &str {
        "one form"
    }
    fn inputs(&self) -> Vec<(String, fmrai_torch::Tensor)> {
        named([("x", self.x.shallow_clone())]).0
    }
    fn run(&self, turn: Turn, _: bool) -> Result<(), BoxError> {
        self.runs.set(self.runs.get() + 1);
        let mut buffer = self.model.buffer.borrow_mut();
        let _ = buffer.g_add_scalar_(1.0);
        let positive = self.x.sum(tch::Kind::Float).double_value(&[]) > 0.0;
        let scaled = if positive { &self.x * 2.0 } else { (&self.x * 3.0).tanh() };
        let made = scaled + &*buffer;
        if turn == Turn::Counts {
            *self.result.borrow_mut() = Some(made);
        }
        Ok(())
    }
}

fn model() -> Signs {
    let info = written_in_a_test("signs", 1);
    Signs { info, buffer: RefCell::new(Tensor::from_slice(&[0.0f32, 0.0])) }
}

fn call(model: &Signs, x: [f32; 2]) -> Call<'_> {
    Call { model, x: Tensor::from_slice(&x), result: RefCell::new(None), runs: Cell::new(0) }
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor).unwrap()
}

/// What `aten::mul` makes, in whatever graph.
fn product(graph: &LiveGraph) -> TensorId {
    let operations = graph.graph().operations();
    operations.iter().find(|operation| operation.base_name() == "mul").unwrap().outputs[0]
}

#[test]
fn each_way_has_a_graph_and_what_runs_aside_leaves_no_trace() {
    let _no_grad = tch::no_grad_guard();
    let model = model();
    let mut graphs = LiveGraphs::new();
    let mut seen = Vec::new();
    for (pass, x) in [[1.0, 2.0], [1.0, 3.0], [-1.0, -2.0], [2.0, 2.0], [-1.0, 0.5]].into_iter().enumerate() {
        let call = call(&model, x);
        let mut ask =
            |graph: &LiveGraph| Ok(Ask { keep: [product(graph)].into_iter().collect(), ..Ask::default() });
        let made = graphs.pass(&call, Want::Tensors, &mut ask).unwrap();
        let factor = if x[0] > 0.0 { 2.0 } else { 3.0 };
        let kept = made.kept.unwrap();
        let kept = kept.tensor(product(&made.graph)).unwrap().tch().shallow_clone();
        assert_eq!(numbers(&kept), x.map(|x| x * factor));
        let count = f32::from(u8::try_from(pass + 1).unwrap());
        assert_eq!(numbers(&model.buffer.borrow()), [count; 2], "each pass counts once");
        seen.push((made.graph.number(), call.runs.get()));
    }
    // One more run to keep what is asked of a graph that was not expected, and one to record it where another one was.
    assert_eq!(seen, [(0, 2), (0, 1), (1, 3), (0, 3), (1, 3)]);
    assert_eq!(graphs.known().len(), 2);
}

#[test]
fn what_acts_acts_on_the_graph_that_is_followed() {
    let _no_grad = tch::no_grad_guard();
    let model = model();
    let mut graphs = LiveGraphs::new();
    for x in [[1.0, 2.0], [-1.0, -2.0], [3.0, 1.0]] {
        let call = call(&model, x);
        let mut ask = |graph: &LiveGraph| {
            let mut actions = Actions::none();
            actions.add(Place::Tensor(product(graph)), |value| Ok(Some(value.mul_scalar(0.0)?)));
            Ok(Ask { actions, ..Ask::default() })
        };
        graphs.pass(&call, Want::Actions, &mut ask).unwrap();
        let result = call.result.borrow_mut().take().unwrap();
        assert_eq!(numbers(&result), numbers(&model.buffer.borrow()), "tanh(0) and 0");
    }
    assert_eq!(numbers(&model.buffer.borrow()), [3.0, 3.0]);
}

/// Fails.
struct Fails<'m>(Call<'m>);
impl LiveCall for Fails<'_> {
    fn model(&self) -> &dyn Model {
        self.0.model
    }
    fn form(&self) -> &str {
        "fails"
    }
    fn inputs(&self) -> Vec<(String, fmrai_torch::Tensor)> {
        Vec::new()
    }
    fn run(&self, _: Turn, _: bool) -> Result<(), BoxError> {
        Err("no electricity".into())
    }
}

#[test]
fn what_cannot_be_asked_is_told_after_the_pass() {
    let model = model();
    let mut graphs = LiveGraphs::new();
    let call = call(&model, [1.0, 2.0]);
    let selector: Selector = "attention[0]".parse().unwrap();
    let mut ask = |graph: &LiveGraph| -> Result<Ask, BoxError> {
        let found = select(graph.graph().as_ref(), graph.structure(), std::slice::from_ref(&selector))?;
        Ok(Ask { keep: found.iter().map(|one| one.tensor).collect(), ..Ask::default() })
    };
    let error = graphs.pass(&call, Want::Tensors, &mut ask).unwrap_err();
    assert!(matches!(error, LiveError::Ask(_)), "{error}");
    assert_eq!((call.runs.get(), numbers(&model.buffer.borrow())), (1, vec![1.0, 1.0]));
    assert!(call.result.borrow().is_some());
    // An error of the model is its own.
    let error = graphs.pass(&Fails(call), Want::Graph, &mut ask).unwrap_err();
    let LiveError::Track(TrackError::Forward(error)) = error else { panic!("{error}") };
    assert_eq!(error.to_string(), "no electricity");
}
