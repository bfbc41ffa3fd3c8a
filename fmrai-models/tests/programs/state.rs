//! Buffers and inputs that a program writes, and what it takes.

use fmrai_core::graph::Graph;
use fmrai_torch::model::{Axis, Model, NamedTensors};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

use crate::archives::{Archive, node, program};
use crate::cases::load_as;
use crate::tensors::{AsTch, named};

fn tensor(name: &str) -> Value {
    json!({ "as_tensor": { "name": name } })
}

/// `x + b`, where the buffer `b` (zeros) grows by one in each run: in place, or as a result that is its new value.
fn counter(in_place: bool) -> Value {
    let mut program = program();
    let graph = &mut program["graph_module"]["graph"];
    let one = json!({ "as_int": 1 });
    let target = if in_place { "torch.ops.aten.add_.Tensor" } else { "torch.ops.aten.add.Tensor" };
    graph["nodes"] = json!([
        node(target, json!({ "self": tensor("p_w"), "other": one }), json!([tensor("linear")])),
        node(
            "torch.ops.aten.add.Tensor",
            json!({ "self": tensor("x"), "other": tensor("linear") }),
            json!([tensor("relu")])
        ),
    ]);
    let signature = &mut program["graph_module"]["signature"];
    signature["input_specs"][0] =
        json!({ "buffer": { "arg": { "name": "p_w" }, "buffer_name": "w", "persistent": true } });
    if !in_place {
        signature["output_specs"] = json!([{ "buffer_mutation": { "arg": { "name": "linear" }, "buffer_name": "w" } }, signature["output_specs"][0]]);
        program["graph_module"]["graph"]["outputs"] = json!([tensor("linear"), tensor("relu")]);
    }
    let graph = &mut program["graph_module"]["graph"];
    for name in ["x", "linear", "relu"] {
        graph["tensor_values"][name] = graph["tensor_values"]["p_w"].clone();
    }
    program
}

fn open(program: &Value, fields: Value) -> (tempfile::NamedTempFile, Result<Box<dyn Model>, String>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    Archive::of(program).with("data/weights/weight_0", Some(&[0; 64])).write(file.path());
    let mut source = json!({ "type": "exported_program", "path": file.path() });
    source.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let model =
        load_as(source).map_err(|e| e.to_string().replace(&format!("{}: ", file.path().display()), ""));
    (file, model)
}

fn zeros() -> NamedTensors {
    named([("x", Tensor::zeros([4, 4], (Kind::Float, tch::Device::Cpu)))])
}

fn runs(model: &dyn Model) -> Vec<f64> {
    (0..3).map(|_| model.forward(&zeros()).unwrap().0[0].1.tch().max().double_value(&[])).collect()
}

#[test]
fn each_run_starts_from_the_state_of_the_archive() {
    for in_place in [true, false] {
        let (_file, model) = open(&counter(in_place), json!({}));
        assert_eq!(runs(model.unwrap().as_ref()), [1.0, 1.0, 1.0], "in place: {in_place}");
    }
}

#[test]
fn state_is_kept_on_request() {
    for in_place in [true, false] {
        let (_file, model) = open(&counter(in_place), json!({ "keep_state": true }));
        assert_eq!(runs(model.unwrap().as_ref()), [1.0, 2.0, 3.0], "in place: {in_place}");
    }
}

#[test]
fn the_file_is_never_written() {
    let (file, model) = open(&counter(true), json!({ "keep_state": true }));
    let before = std::fs::read(file.path()).unwrap();
    runs(model.unwrap().as_ref());
    assert_eq!(before, std::fs::read(file.path()).unwrap());
}

#[test]
fn inputs_that_are_written_are_given_back_unchanged() {
    let mut program = program();
    program["graph_module"]["graph"]["nodes"][1] = node(
        "torch.ops.aten.mul_.Tensor",
        json!({ "self": tensor("x"), "other": { "as_float": 2.0 } }),
        json!([tensor("relu")]),
    );
    let (_file, model) = open(&program, json!({}));
    let inputs = named([("x", Tensor::ones([2, 4], (Kind::Float, tch::Device::Cpu)))]);
    let output = model.unwrap().forward(&inputs).unwrap();
    assert_eq!(output.0[0].1.tch().sum(Kind::Float).double_value(&[]), 16.0);
    assert_eq!(inputs.0[0].1.tch().sum(Kind::Float).double_value(&[]), 8.0);
}

/// The program with a first axis that may vary.
fn dynamic() -> Value {
    let mut program = program();
    let size = json!({ "as_expr": { "expr_str": "Symbol('s0', positive=True, integer=True)", "hint": { "as_int": 2 } } });
    for name in ["x", "linear", "relu"] {
        program["graph_module"]["graph"]["tensor_values"][name]["sizes"][0] = size.clone();
    }
    program["range_constraints"] = json!({ "s0": { "min_val": 2, "max_val": 8 } });
    program
}

#[test]
fn inputs_say_how_long_their_axes_may_be() {
    let (_file, model) = open(&dynamic(), json!({}));
    let model = model.unwrap();
    let axes = model.inputs()[0].axes.clone().unwrap();
    assert_eq!(axes, [Axis::Range { min: 1, max: Some(8) }, Axis::Fixed(4)]);
    let run = |rows: i64, columns: i64, kind: Kind| {
        let x = Tensor::zeros([rows, columns], (kind, tch::Device::Cpu));
        model.forward(&named([("x", x)])).map(|_| ()).map_err(|e| e.to_string())
    };
    for rows in [1, 2, 8] {
        assert_eq!(run(rows, 4, Kind::Float), Ok(()));
    }
    let needed = "the model takes `x` [1 to 8, 4] of float32, was given";
    assert_eq!(run(9, 4, Kind::Float), Err(format!("{needed} shape [9, 4]")));
    assert_eq!(run(2, 5, Kind::Float), Err(format!("{needed} shape [2, 5]")));
    assert_eq!(run(2, 4, Kind::Double), Err(format!("{needed} float64")));
    let error = model.forward(&NamedTensors::default()).unwrap_err().to_string();
    assert_eq!(error, format!("{needed} nothing"));
    let twice = NamedTensors(vec![zeros().0.remove(0), zeros().0.remove(0)]);
    assert_eq!(
        model.forward(&twice).unwrap_err().to_string(),
        "the model takes `x` once, was given it twice"
    );
    let other = named([("y", Tensor::zeros([1], (Kind::Float, tch::Device::Cpu)))]);
    assert_eq!(model.forward(&other).unwrap_err().to_string(), "the model takes `x`, was given `y`");
}

#[test]
fn inputs_can_take_other_tensors_of_the_data() {
    let (_file, model) = open(&dynamic(), json!({ "inputs": { "x": "features" } }));
    let model = model.unwrap();
    assert_eq!(model.inputs()[0].name, "features");
    let graph = model.graph().unwrap().unwrap();
    assert_eq!(graph.tensors()[0].name.as_deref(), Some("features"));
    let (_file, refused) = open(&dynamic(), json!({ "inputs": { "y": "features" } }));
    assert_eq!(refused.err().unwrap(), "has no input \"y\" to be renamed, there are x");
    let (_file, refused) = open(&dynamic(), json!({ "program": "other" }));
    assert_eq!(refused.err().unwrap(), "holds no program \"other\", there are model");
}
