//! What passes leave behind, and taking it back; passes that leave their thread (`tests/reference/state`).

use std::cell::RefCell;

use fmrai_core::graph::{Graph, Operation, fingerprint};
use fmrai_core::tolerance::Tolerance;
use fmrai_core::tracker::{CaptureRequest, TrackError, Tracker};
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::model::{Footprint, InputSpec, Model, ModelError, ModelInfo, NamedTensors};
use fmrai_torch::text::Tokenizer;
use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor};

use crate::cases::{load, load_as, record, reference, written_in_a_test};
use crate::tensors::{AsTch, named};

/// What a new process starts with.
const DEFAULT_SEED: i64 = 67_280_421_310_721;

/// Everything in a reference file, by name.
fn numbers(name: &str) -> Vec<(String, Vec<i64>, Vec<f32>)> {
    let bytes = std::fs::read(reference("state").join(name).with_extension("safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let read = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let shape: Vec<i64> = view.shape().iter().map(|n| i64::try_from(*n).unwrap()).collect();
        let kind = if view.dtype() == safetensors::Dtype::BF16 { Kind::BFloat16 } else { Kind::Float };
        let tensor = Tensor::from_data_size(view.data(), &shape, kind);
        (name, shape, Vec::try_from(tensor.to_kind(Kind::Float).flatten(0, -1)).unwrap())
    };
    file.tensors().into_iter().map(read).collect()
}

fn find(all: &[(String, Vec<i64>, Vec<f32>)], name: &str) -> Option<Tensor> {
    let (_, shape, values) = all.iter().find(|(other, ..)| other == name)?;
    Some(Tensor::from_slice(values).view(shape.as_slice()))
}

/// A copy of `tensor` under this name.
fn given(name: &str, tensor: &Tensor) -> NamedTensors {
    named([(name, tensor.copy())])
}

fn flat(tensor: &impl AsTch) -> Vec<f32> {
    Vec::try_from(tensor.tch().to_kind(Kind::Float).contiguous().flatten(0, -1)).unwrap()
}

const SCRIPTS: [&str; 6] = ["recurrent", "writes_input", "reshapes_input", "random", "forked", "numbers"];

/// A pass that is recorded, one that is compared, and only then the ones that count.
#[test]
fn passes_that_are_taken_back_leave_no_trace() {
    let _no_grad = tch::no_grad_guard();
    for name in SCRIPTS {
        let expected = numbers(name);
        let x = find(&expected, "in.x").unwrap();
        let model = load("torchscript", &reference("state").join(format!("{name}.pt"))).unwrap();
        tch::manual_seed(DEFAULT_SEED);
        let inputs = given("x", &x);
        let (graph, mut left) = Footprint::of(model.as_ref(), || {
            DispatchTracker::new().unwrap().discover(&mut || Ok(model.forward(&inputs).map(|_| ())?)).unwrap()
        })
        .unwrap();
        assert!(!graph.operations().is_empty(), "{name}");
        let lasts = left.lasts(&inputs).unwrap();
        assert_eq!(lasts, ["recurrent", "random", "numbers"].contains(&name), "{name}");
        let writes = left.wrote(&inputs.0[0].1);
        assert_eq!(writes, ["writes_input", "reshapes_input"].contains(&name), "{name}");
        left.take_back().unwrap();
        assert_eq!((inputs.0[0].1.size(), flat(&inputs.0[0].1)), (x.size(), flat(&x)), "{name}");

        for call in 0..3 {
            let outputs = model.forward(&given("x", &x)).unwrap();
            for (position, (_, found)) in outputs.0.iter().enumerate() {
                let expected = find(&expected, &format!("out.{call}.{position}")).unwrap();
                assert_eq!(found.size(), expected.size(), "{name}");
                let close = Tolerance::ACTIVATION.check(&flat(found), &flat(&expected));
                close.unwrap_or_else(|wrong| panic!("{name}, call {call}, result {position}: {wrong}"));
            }
            // As a comparison with the untouched model, between passes that count.
            let (again, mut left) =
                Footprint::of(model.as_ref(), || model.forward(&given("x", &x)).unwrap()).unwrap();
            let again = left.keep(again).unwrap();
            left.take_back().unwrap();
            left.bring_back().unwrap();
            left.take_back().unwrap();
            let next = expected.iter().any(|(key, ..)| *key == format!("out.{}.0", call + 1));
            if next {
                let expected = find(&expected, &format!("out.{}.0", call + 1)).unwrap();
                Tolerance::ACTIVATION.check(&flat(&again.0[0].1), &flat(&expected)).unwrap();
            }
        }
    }
}

/// The generator is the process's: what others draw from it meanwhile is theirs.
#[test]
fn random_numbers_of_other_threads_are_left_to_them() {
    let _no_grad = tch::no_grad_guard();
    let model = load("torchscript", &reference("state").join("writes_input.pt")).unwrap();
    let inputs = given("x", &find(&numbers("writes_input"), "in.x").unwrap());
    let draw = || {
        std::thread::spawn(|| {
            Tensor::rand([8], (Kind::Double, Device::Cpu)).sum(Kind::Double).double_value(&[])
        })
    };
    let (drawn, mut left) = Footprint::of(model.as_ref(), || {
        model.forward(&inputs).unwrap();
        draw().join().unwrap()
    })
    .unwrap();
    assert!(!left.lasts(&inputs).unwrap());
    left.take_back().unwrap();
    assert_ne!(draw().join().unwrap(), drawn, "the same numbers are not drawn again");
}

#[test]
fn a_program_that_keeps_its_state_can_be_taken_back() {
    let path = reference("state").join("counter.pt2");
    let source = serde_json::json!({ "type": "exported_program", "path": path, "keep_state": true });
    let model = load_as(source).unwrap();
    let x = Tensor::ones([2, 3], (Kind::Float, Device::Cpu));
    let _no_grad = tch::no_grad_guard();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let pass = || model.forward(&given("x", &x)).unwrap();
        let (first, mut left) = Footprint::of(model.as_ref(), pass).unwrap();
        assert!(left.lasts(&NamedTensors::default()).unwrap());
        let first = left.keep(first).unwrap();
        left.take_back().unwrap();
        let second = pass();
        left.bring_back().unwrap();
        seen.push((first.0[0].1.tch().double_value(&[0, 0]), second.0[0].1.tch().double_value(&[0, 0])));
    }
    assert_eq!(seen, [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]);

    let model = load("exported_program", &path).unwrap();
    let pass = || model.forward(&given("x", &x)).unwrap();
    let (_, left) = Footprint::of(model.as_ref(), pass).unwrap();
    assert!(!left.lasts(&NamedTensors::default()).unwrap(), "it starts from the archive each time");
}

/// A model written in Rust that writes a buffer, in place and through a view.
struct Counting {
    info: ModelInfo,
    buffer: RefCell<Tensor>,
}

impl Model for Counting {
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
        let mut buffer = self.buffer.borrow_mut();
        let _ = buffer.g_add_scalar_(1.0);
        let _ = buffer.select(0, 1).g_mul_scalar_(10.0);
        let mut made = buffer.zeros_like();
        let _ = made.g_add_(&buffer);
        Ok(named([("buffer", buffer.shallow_clone()), ("made", made)]))
    }
}

#[test]
fn models_written_in_rust_are_taken_back_too() {
    let info = written_in_a_test("counting", 2);
    let model = Counting { info, buffer: RefCell::new(Tensor::from_slice(&[1.0f32, 2.0])) };
    let (outputs, mut left) =
        Footprint::of(&model, || model.forward(&NamedTensors::default()).unwrap()).unwrap();
    assert!(left.wrote(&outputs.0[0].1) && !left.wrote(&outputs.0[1].1));
    assert!(left.lasts(&NamedTensors::default()).unwrap());
    let kept = left.keep(outputs).unwrap();
    left.take_back().unwrap();
    assert_eq!(flat(&*model.buffer.borrow()), [1.0, 2.0]);
    assert_eq!(flat(&kept.0[0].1), [2.0, 30.0], "in memory of its own");
    left.bring_back().unwrap();
    assert_eq!(flat(&*model.buffer.borrow()), [2.0, 30.0]);
}

/// Tasks run where they are forked: the same operations in the same order, each time.
#[test]
fn forked_tasks_are_seen_in_a_fixed_order() {
    let _no_grad = tch::no_grad_guard();
    let x = find(&numbers("forked"), "in.x").unwrap();
    let mut first = None;
    for _ in 0..20 {
        let model = load("torchscript", &reference("state").join("forked.pt")).unwrap();
        let (mut tracker, graph) = record(model.as_ref(), &given("x", &x));
        let names: Vec<&str> = graph.operations().iter().map(Operation::base_name).collect();
        let worker = ["linear", "relu", "mul"];
        let late = [&worker[..], &["mul", "tanh", "add"]].concat();
        let expected = [&late[..], &["add"], &worker, &["softmax", "add", "add"]].concat();
        let mut sorted = (names.clone(), expected);
        sorted.0.sort_unstable();
        sorted.1.sort_unstable();
        assert_eq!(sorted.0, sorted.1, "{names:?}");
        let found = fingerprint(graph.as_ref());
        assert_eq!(*first.get_or_insert(found.clone()), found);
        let all: CaptureRequest = graph.tensors().iter().map(|t| t.id).collect();
        let given = given("x", &x);
        tracker.track(&all, &mut || Ok(model.forward(&given).map(|_| ())?)).unwrap();
    }
}

/// Whoever runs a module in another way is told, and what ran elsewhere is not missing in silence.
#[test]
fn operations_on_other_threads_are_an_error() {
    let _no_grad = tch::no_grad_guard();
    let x = find(&numbers("forked"), "in.x").unwrap();
    let module = tch::CModule::load(reference("state").join("forked.pt")).unwrap();
    let mut tracker = DispatchTracker::new().unwrap();
    for _ in 0..5 {
        let error = tracker.discover(&mut || Ok(module.forward_ts(&[&x]).map(|_| ())?)).unwrap_err();
        let TrackError::OtherThreads { operations, .. } = error else { panic!("{error}") };
        assert!(operations > 0);
        assert!(error.to_string().contains("without torch.jit.fork"), "{error}");
    }
    let graph = tracker
        .discover(&mut || {
            let _ = x.relu();
            Ok(())
        })
        .unwrap();
    assert_eq!(graph.operations().len(), 1, "the tracker is as good as before");
}

/// In an autocast region the fused operation computes in the lower precision; so does its explicit form.
#[test]
fn explicit_attention_is_cast_as_the_fused_one_is() {
    let _no_grad = tch::no_grad_guard();
    let expected = numbers("autocast");
    let model = load("exported_program", &reference("state").join("autocast.pt2")).unwrap();
    let inputs = || {
        let of = |name: &'static str| (name, find(&expected, name).unwrap());
        named([of("x"), of("mask")])
    };
    let (mut tracker, graph) = record(model.as_ref(), &inputs());
    let fused: Vec<_> =
        graph.operations().iter().filter(|o| o.base_name() == "scaled_dot_product_attention").collect();
    assert_eq!(fused.len(), 2);
    let request = fused.iter().flat_map(|o| o.outputs.clone()).collect();
    let mut outputs = NamedTensors::default();
    let given = inputs();
    let kept = tracker
        .track(&request, &mut || {
            outputs = model.forward(&given)?;
            Ok(())
        })
        .unwrap();
    // Twice the distance of numbers of this element type.
    let rounding = Tolerance { absolute: 1.0 / 128.0, relative: 1.0 / 128.0 };
    for (i, operation) in fused.into_iter().enumerate() {
        assert_eq!(outputs.0[i].1.tch().kind(), Kind::BFloat16, "as the fused operation gives");
        let context = find(&expected, &format!("out.{i}")).unwrap();
        rounding.check(&flat(&outputs.0[i].1), &flat(&context)).unwrap();
        let probabilities = kept.tensor(operation.outputs[1]).unwrap().unwrap();
        let rows = find(&expected, &format!("probabilities.{i}")).unwrap();
        Tolerance { absolute: 1.0 / 512.0, relative: 1.0 / 256.0 }
            .check(probabilities.f32().unwrap(), &flat(&rows))
            .unwrap();
    }
}
