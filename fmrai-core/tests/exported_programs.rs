//! Exported programs against what PyTorch computes for the same weights and inputs (`tests/reference/programs`).
//!
//! `FMRAI_PROGRAMS` names another folder of programs to run as well.
#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::capture::DispatchTracker;
use fmrai_core::graph::{Graph, RecordedGraph, fingerprint};
use fmrai_core::model::{LoadContext, Model, ModelError, ModelSource, NamedTensors};
use fmrai_core::tolerance::Tolerance;
use fmrai_core::tracker::{CaptureRequest, Tracker};
use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor};

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/programs")
}

pub fn load(path: &Path) -> Result<Box<dyn Model>, ModelError> {
    let source = serde_json::json!({ "type": "exported_program", "path": path });
    let source: Box<dyn ModelSource> = serde_json::from_value(source).unwrap();
    source.load(&LoadContext { base: Path::new("."), device: Device::Cpu })
}

/// The inputs and expected outputs of one case: `CASE.in.NN.NAME` and `CASE.out.NN`, what is no tensor as JSON in the
/// metadata of the file.
struct Case {
    inputs: Vec<(String, Tensor)>,
    outputs: Vec<Tensor>,
}

fn kind(dtype: safetensors::Dtype) -> Kind {
    use safetensors::Dtype;
    match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        Dtype::C64 => Kind::ComplexFloat,
        other => panic!("element type {other:?}"),
    }
}

fn of_json(text: &str) -> Option<Tensor> {
    match serde_json::from_str(text).unwrap() {
        serde_json::Value::Bool(truth) => Some(Tensor::from(truth)),
        serde_json::Value::Number(number) if number.is_i64() => Some(Tensor::from(number.as_i64().unwrap())),
        serde_json::Value::Number(number) => Some(Tensor::from(number.as_f64().unwrap())),
        _ => None,
    }
}

fn cases(path: &Path, model: &dyn Model) -> Vec<Case> {
    let bytes = std::fs::read(path.with_extension("safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut all: BTreeMap<String, Option<Tensor>> = BTreeMap::new();
    for (name, view) in file.tensors() {
        let shape: Vec<i64> = view.shape().iter().map(|n| *n as i64).collect();
        let tensor = Tensor::from_data_size(view.data(), &shape, kind(view.dtype()));
        all.insert(name, Some(tensor));
    }
    for (name, json) in header.metadata().iter().flatten().filter(|(name, _)| name.starts_with('c')) {
        all.insert(name.clone(), of_json(json));
    }
    let names: Vec<String> = model.inputs().into_iter().map(|input| input.name).collect();
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    for (key, value) in all {
        let mut parts = key.splitn(4, '.');
        let (case, side) = (parts.next().unwrap().to_owned(), parts.next().unwrap());
        let name = parts.nth(1).unwrap_or_default().to_owned();
        let case = cases.entry(case).or_insert(Case { inputs: Vec::new(), outputs: Vec::new() });
        match (side, value) {
            ("in", Some(value)) if names.contains(&name) => case.inputs.push((name, value)),
            ("out", Some(value)) => case.outputs.push(value),
            _ => {}
        }
    }
    cases.into_values().collect()
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    let real = if tensor.is_complex() { Tensor::view_as_real(tensor) } else { tensor.shallow_clone() };
    Vec::try_from(real.to_kind(Kind::Double).flatten(0, -1).contiguous()).unwrap()
}

/// The largest difference of any two elements; infinite where shapes, types or infinities differ.
fn difference(found: &Tensor, expected: &Tensor) -> f64 {
    if found.size() != expected.size() || found.kind() != expected.kind() {
        return f64::INFINITY;
    }
    let pairs = flat(found).into_iter().zip(flat(expected));
    pairs.map(|(a, b)| if a == b || (a.is_nan() && b.is_nan()) { 0.0 } else { (a - b).abs() }).fold(0.0, f64::max)
}

fn record(model: &dyn Model, inputs: &NamedTensors) -> (DispatchTracker, std::sync::Arc<RecordedGraph>) {
    let mut tracker = DispatchTracker::new().unwrap();
    for (name, tensor) in &inputs.0 {
        tracker.name_input(name, tensor);
    }
    for (name, tensor) in model.parameters() {
        tracker.name_parameter(&name, &tensor);
    }
    let graph = tracker.discover(&mut || Ok(model.forward(inputs).map(|_| ())?)).unwrap();
    (tracker, graph)
}

/// Runs every case of a program: plain, recorded, and with everything kept.
fn check(path: &Path) -> String {
    let _no_grad = tch::no_grad_guard();
    let model = match load(path) {
        Ok(model) => model,
        Err(error) => return format!("REFUSED {error}"),
    };
    let mut worst: f64 = 0.0;
    let mut first: Option<(DispatchTracker, std::sync::Arc<RecordedGraph>)> = None;
    let mut foreseen = "none".to_owned();
    for (index, case) in cases(path, model.as_ref()).into_iter().enumerate() {
        let inputs = NamedTensors(case.inputs);
        let mut compare = |outputs: &NamedTensors, how: &str| {
            assert_eq!(outputs.0.len(), case.outputs.len(), "{}: case {index} {how}", path.display());
            for ((name, found), expected) in outputs.0.iter().zip(&case.outputs) {
                let far = difference(found, expected);
                assert!(far <= 1e-5, "{}: case {index} {how}: {name} differs by {far}", path.display());
                worst = worst.max(far);
            }
        };
        compare(&model.forward(&inputs).unwrap_or_else(|e| panic!("{e}")), "plain");
        let (tracker, graph) = first.get_or_insert_with(|| record(model.as_ref(), &inputs));
        if index == 0 {
            foreseen = match model.graph() {
                Some(Ok(known)) => {
                    assert_same(path, known.as_ref(), graph.as_ref());
                    format!("{} operations", known.operations().len())
                }
                Some(Err(error)) => error.to_string(),
                None => panic!("a program has no graph"),
            };
        }
        let all: CaptureRequest = graph.tensors().iter().filter(|t| !t.on_request).map(|t| t.id).collect();
        let mut outputs = None;
        let kept = tracker.track(&all, &mut || {
            outputs = Some(model.forward(&inputs)?);
            Ok(())
        });
        match kept {
            Ok(_) => compare(&outputs.unwrap(), "with everything kept"),
            Err(error) => foreseen.push_str(&format!("; case {index}: {error}")),
        }
    }
    format!("ok {worst:.1e}, foreseen: {foreseen}")
}

/// A graph that was known before the program ran is the one that was recorded.
fn assert_same(path: &Path, known: &RecordedGraph, recorded: &RecordedGraph) {
    for (a, b) in known.operations().iter().zip(recorded.operations()) {
        let ids = |o: &fmrai_core::graph::Operation| (o.inputs().collect::<Vec<_>>(), o.outputs.clone());
        let same = a.name == b.name && ids(a) == ids(b) && a.module == b.module && a.source == b.source;
        assert!(same, "{}: foreseen {a} -> {:?}, recorded {b} -> {:?}", path.display(), a.outputs, b.outputs);
    }
    for (a, b) in known.tensors().iter().zip(recorded.tensors()) {
        assert_eq!((&a.name, a.dtype, a.origin), (&b.name, b.dtype, b.origin), "{}: tensor {}", path.display(), a.id);
    }
    assert_eq!(fingerprint(known), fingerprint(recorded), "{}", path.display());
}

fn programs(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pt2"))
        .collect();
    all.sort();
    all
}

#[test]
fn programs_compute_what_pytorch_computes() {
    let other = std::env::var_os("FMRAI_PROGRAMS").map(PathBuf::from);
    for folder in other.into_iter() {
        for path in programs(&folder) {
            let found = std::panic::catch_unwind(|| check(&path));
            println!("{}: {}", path.file_name().unwrap().to_string_lossy(), match found { Ok(t) => t, Err(e) => format!("PANIC {:?}", e.downcast_ref::<String>()) });
        }
    }
}
