//! Models with recorded inputs and outputs: plain, watched, and with everything kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fmrai_core::graph::{Graph, RecordedGraph, fingerprint};
use fmrai_core::tensor::DType;
use fmrai_core::tracker::{CaptureRequest, Tracker};
use fmrai_torch::Device;
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::model::{LoadContext, Model, ModelError, ModelInfo, NamedTensors, RegisteredModelSource};
use safetensors::SafeTensors;
use tch::{Kind, Tensor};

use crate::tensors::{AsTch, named};

/// A folder of reference data.
pub(crate) fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference").join(name)
}

/// The model in a file, by the plan's name for its kind.
pub(crate) fn load(kind: &str, path: &Path) -> Result<Box<dyn Model>, ModelError> {
    load_as(serde_json::json!({ "type": kind, "path": path }))
}

/// The model that a plan says.
pub(crate) fn load_as(source: serde_json::Value) -> Result<Box<dyn Model>, ModelError> {
    let source: Box<dyn RegisteredModelSource> = serde_json::from_value(source).unwrap();
    source.load(&LoadContext::new(Path::new("."), Device::Cpu))
}

/// The inputs and expected outputs of one case: `CASE.in.NN.NAME` and `CASE.out.NN`, what is no tensor as JSON in the
/// metadata of the file.
pub(crate) struct Case {
    pub(crate) inputs: NamedTensors,
    pub(crate) outputs: Vec<Tensor>,
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

/// The cases beside a model's file.
pub(crate) fn cases(path: &Path, model: &dyn Model) -> Vec<Case> {
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
        let case = cases.entry(case).or_insert(Case { inputs: NamedTensors::default(), outputs: Vec::new() });
        match (side, value) {
            ("in", Some(value)) if names.contains(&name) => case.inputs.0.extend(named([(name, value)]).0),
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
pub(crate) fn difference(found: &Tensor, expected: &Tensor) -> f64 {
    if found.size() != expected.size() || found.kind() != expected.kind() {
        return f64::INFINITY;
    }
    let pairs = flat(found).into_iter().zip(flat(expected));
    pairs
        .map(|(a, b)| if a == b || (a.is_nan() && b.is_nan()) { 0.0 } else { (a - b).abs() })
        .fold(0.0, f64::max)
}

/// The graph of a pass, and the tracker that can follow later ones.
pub(crate) fn record(model: &dyn Model, inputs: &NamedTensors) -> (DispatchTracker, Arc<RecordedGraph>) {
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

/// How a model's graph before it runs goes with the recorded one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Foreseen {
    /// The same, with so many operations.
    Same(usize),
    /// It is not known; why.
    No(String),
}

/// What came of running the cases of a model.
pub(crate) struct Outcome {
    /// Largest difference of any output to what PyTorch computes.
    pub(crate) worst: f64,
    pub(crate) foreseen: Foreseen,
    /// Cases that did not follow the graph of the first.
    pub(crate) diverged: Vec<String>,
}

/// Runs every case of a model: plain, recorded, and with everything kept.
pub(crate) fn check(path: &Path, model: &dyn Model) -> Outcome {
    let _no_grad = tch::no_grad_guard();
    let mut outcome =
        Outcome { worst: 0.0, foreseen: Foreseen::No("it has no cases".into()), diverged: Vec::new() };
    let mut first: Option<(DispatchTracker, Arc<RecordedGraph>)> = None;
    for (index, case) in cases(path, model).into_iter().enumerate() {
        let inputs = &case.inputs;
        let mut compare = |outputs: &NamedTensors, how: &str| {
            assert_eq!(outputs.0.len(), case.outputs.len(), "{}: case {index} {how}", path.display());
            for ((name, found), expected) in outputs.0.iter().zip(&case.outputs) {
                let far = difference(&found.tch(), expected);
                assert!(far <= 1e-5, "{}: case {index} {how}: {name} differs by {far}", path.display());
                outcome.worst = outcome.worst.max(far);
            }
        };
        compare(&model.forward(inputs).unwrap_or_else(|e| panic!("{e}")), "plain");
        let (tracker, graph) = first.get_or_insert_with(|| record(model, inputs));
        if index == 0 {
            outcome.foreseen = match model.graph() {
                Some(Ok(known)) => {
                    assert_same(path, known.as_ref(), graph.as_ref());
                    Foreseen::Same(known.operations().len())
                }
                Some(Err(error)) => Foreseen::No(error.to_string()),
                None => Foreseen::No("it has none".to_owned()),
            };
        }
        let all: CaptureRequest = graph.tensors().iter().filter(|t| !t.on_request).map(|t| t.id).collect();
        let mut outputs = None;
        let kept = tracker.track(&all, &mut || {
            outputs = Some(model.forward(inputs)?);
            Ok(())
        });
        match kept {
            Ok(_) => compare(&outputs.unwrap(), "with everything kept"),
            Err(error) => outcome.diverged.push(format!("case {index}: {error}")),
        }
    }
    outcome
}

/// A graph that was known before the program ran is the one that was recorded.
fn assert_same(path: &Path, known: &RecordedGraph, recorded: &RecordedGraph) {
    for (a, b) in known.operations().iter().zip(recorded.operations()) {
        let ids = |o: &fmrai_core::graph::Operation| (o.inputs().collect::<Vec<_>>(), o.outputs.clone());
        let same = a.name == b.name && ids(a) == ids(b) && a.module == b.module && a.source == b.source;
        assert!(same, "{}: foreseen {a} -> {:?}, recorded {b} -> {:?}", path.display(), a.outputs, b.outputs);
    }
    for (a, b) in known.tensors().iter().zip(recorded.tensors()) {
        assert_eq!(
            (&a.name, a.dtype, a.origin),
            (&b.name, b.dtype, b.origin),
            "{}: tensor {}",
            path.display(),
            a.id
        );
    }
    assert_eq!(fingerprint(known), fingerprint(recorded), "{}", path.display());
}

/// The files of a folder with this extension, sorted.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    all.sort();
    all
}

/// What is known of a model that a test has written itself.
pub(crate) fn written_in_a_test(architecture: &str, parameters: u64) -> ModelInfo {
    ModelInfo {
        source: "test".to_owned(),
        architecture: architecture.to_owned(),
        path: PathBuf::new(),
        files: Vec::new(),
        parameters,
        dtype: DType::Float32,
        max_tokens: None,
        quantisation: None,
        remade_bytes: 0,
        unused_weights: Vec::new(),
        warnings: Vec::new(),
        non_finite_weights: Vec::new(),
    }
}
