//! What the passes of a run leave behind, and what is told of the tensors that they keep (`tests/reference/state`).

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::activations::ActivationFolder;
use fmrai_core::graph::Graph;
use fmrai_core::tensor::{TensorData, from_safetensors};
use fmrai_core::tracker::{Activations, CaptureRequest};
use fmrai_torch::Device;
use fmrai_torch::model::{LoadContext, Model, ModelError, ModelSource, NamedTensors, RegisteredModelSource};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wrapped::Wrapped;
use super::{How, WHOLE, execute, execute_wrapped};
use crate::error::{Error, Exit};
use crate::run::{Nan, Options, Outcome};
use crate::testing::{contents, reference_model};

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/state").join(name)
}

/// A .npy file of float32.
fn npy(path: &Path, shape: &[usize], values: &[f32]) {
    let sizes: Vec<String> = shape.iter().map(|size| format!("{size},")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.concat());
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

fn load(model: &Value) -> Box<dyn Model> {
    let source: Box<dyn RegisteredModelSource> = serde_json::from_value(model.clone()).unwrap();
    source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap()
}

/// A plan that captures these tensors of a model that takes `x.npy`.
fn plan(model: &Value, select: &[String], batch_size: usize, parity: &str) -> Value {
    json!({
        "format": 1, "model": model, "parity": parity, "analyses": [], "output": "out", "checkpoint_seconds": 0,
        "data": { "type": "tensors", "files": { "x": "x.npy" }, "batch_size": batch_size },
        "capture": { "select": select },
    })
}

/// Everything that a model makes.
fn everything(model: &dyn Model) -> Vec<String> {
    let graph = model.graph().unwrap().unwrap();
    graph.operations().iter().flat_map(|o| o.outputs.clone()).map(|id| id.to_string()).collect()
}

/// The first element of one captured tensor, batch by batch.
fn firsts(results: &Path) -> Vec<f32> {
    let folder = ActivationFolder::open(results).unwrap();
    let id = folder.manifest().tensors[0].id;
    let mut firsts = Vec::new();
    while let Some(mut batch) = folder.batch(firsts.len()).unwrap() {
        let read = batch.read(&CaptureRequest::from_iter([id])).unwrap();
        firsts.push(read.tensor(id).unwrap().unwrap().f32().unwrap()[0]);
    }
    firsts
}

#[test]
fn the_first_pass_that_is_kept_is_the_first_pass() {
    let place = tempfile::tempdir().unwrap();
    npy(&place.path().join("x.npy"), &[5, 3], &[1.0; 15]);
    let path = reference("counter.pt2");
    let model = json!({ "type": "exported_program", "path": path, "keep_state": true });
    let select = everything(load(&model).as_ref()).pop().unwrap();
    for parity in ["off", "first", "every"] {
        let document = plan(&model, std::slice::from_ref(&select), 1, parity);
        let outcome = execute(place.path(), &document, &How { force: true, ..WHOLE }).unwrap();
        assert_eq!(outcome.exit(), Exit::Success, "{:?}", outcome.parity);
        assert_eq!(firsts(&place.path().join("out")), [1.0, 2.0, 3.0, 4.0, 5.0], "{parity}");
        // Batches that a checkpoint has are run again for the state that they leave.
        let part = How { output: "part", force: true, stop_after: 3, ..WHOLE };
        assert!(matches!(execute(place.path(), &document, &part), Err(Error::Interrupted { batches: 3 })));
        execute(place.path(), &document, &How { output: "part", resume: true, ..WHOLE }).unwrap();
        assert_eq!(contents(&place.path().join("part")), contents(&place.path().join("out")), "{parity}");
    }
}

#[test]
fn a_script_that_writes_its_input_gets_the_same_one_in_every_batch() {
    let place = tempfile::tempdir().unwrap();
    npy(&place.path().join("x.npy"), &[6, 4], &[1.0; 24]);
    let model = json!({ "type": "torchscript", "path": reference("writes_input.pt") });
    for parity in ["off", "every"] {
        // The input after it was doubled.
        let document = plan(&model, &["#1".to_owned()], 2, parity);
        let outcome = execute(place.path(), &document, &How { force: true, ..WHOLE }).unwrap();
        assert_eq!(outcome.exit(), Exit::Success);
        assert_eq!(firsts(&place.path().join("out")), [2.0, 2.0, 2.0], "{parity}");
    }
}

#[test]
fn a_recurrent_script_goes_on_where_a_kill_has_left_it() {
    let place = tempfile::tempdir().unwrap();
    npy(&place.path().join("x.npy"), &[6, 4], &[0.5; 24]);
    let model = json!({ "type": "torchscript", "path": reference("recurrent.pt") });
    let document = plan(&model, &["#7".to_owned()], 1, "every");
    let outcome = execute(place.path(), &document, &WHOLE).unwrap();
    assert!(outcome.parity.unwrap().agrees);
    let part = How { output: "part", stop_after: 4, ..WHOLE };
    execute(place.path(), &document, &part).unwrap_err();
    execute(place.path(), &document, &How { output: "part", resume: true, ..WHOLE }).unwrap();
    assert_eq!(contents(&place.path().join("part")), contents(&place.path().join("out")));
}

/// Eight rows of which seven are samples: PyTorch says what those seven give.
#[test]
fn rows_that_fill_up_are_cut_off_wherever_they_lie() {
    let place = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(reference("rows.safetensors")).unwrap();
    let expected = from_safetensors(&bytes).unwrap().0;
    let x = &expected.iter().find(|(name, _)| *name == "x").unwrap().1;
    let TensorData::F32(values) = x.data() else { panic!("float32 is expected") };
    npy(&place.path().join("x.npy"), x.shape(), values);
    let model = json!({ "type": "exported_program", "path": reference("rows.pt2") });
    let document = plan(&model, &everything(load(&model).as_ref()), 8, "first");
    let outcome = execute(place.path(), &document, &WHOLE).unwrap();
    assert_eq!(outcome.exit(), Exit::Success);

    let folder = ActivationFolder::open(&place.path().join("out")).unwrap();
    let request: CaptureRequest = folder.manifest().tensors.iter().map(|tensor| tensor.id).collect();
    let mut batch = folder.batch(0).unwrap().unwrap();
    assert_eq!(batch.samples().len(), 7);
    let kept = batch.read(&request).unwrap();
    for (name, tensor) in expected.iter().filter(|(name, _)| name.starts_with("out.")) {
        let TensorData::F32(values) = tensor.data() else { panic!("{name}: float32 is expected") };
        let close = |id| {
            let found = kept.tensor(id).unwrap().unwrap();
            let far = |found: &[f32]| found.iter().zip(values).any(|(a, b)| (a - b).abs() > 1e-5);
            found.shape() == tensor.shape() && found.f32().is_ok_and(|found| !far(found))
        };
        assert!(request.tensors().any(close), "{name} of shape {:?} was not captured", tensor.shape());
    }
    // The loss, and what is centred by a mean over all rows.
    let told = outcome.warnings.concat();
    assert!(told.contains("computed over all rows"), "{told}");
    let summary: Value =
        serde_json::from_slice(&std::fs::read(place.path().join("out/summary.json")).unwrap()).unwrap();
    assert!(summary["told"]["mixed"].as_array().unwrap().len() >= 2, "{}", summary["told"]);
    assert_eq!(summary["told"]["whole"], json!([]));
}

#[test]
fn nan_in_tensors_that_are_kept_is_told() {
    let place = tempfile::tempdir().unwrap();
    let mut values = [1.0; 15];
    values[10] = f32::NAN; // sample 3
    npy(&place.path().join("x.npy"), &[5, 3], &values);
    let model = json!({ "type": "exported_program", "path": reference("counter.pt2") });
    let select = everything(load(&model).as_ref()).pop().unwrap();
    let document = plan(&model, std::slice::from_ref(&select), 2, "first");
    let outcome = execute(place.path(), &document, &WHOLE).unwrap();
    let told = format!(
        "1 elements of 1 kept tensors are NaN: %mul ({select}); in {select} first in batch 1, sample 3"
    );
    assert_eq!(outcome.warnings, [told]);
    let summary: Value =
        serde_json::from_slice(&std::fs::read(place.path().join("out/summary.json")).unwrap()).unwrap();
    let nan = &summary["told"]["nan"][0];
    let expected = Nan { elements: 1, batches: 1, first_batch: 1, first_sample: Some(3) };
    assert_eq!(serde_json::from_value::<Nan>(nan.clone()).unwrap(), expected);
    // What was told before an interruption is told after it.
    execute(place.path(), &document, &How { output: "part", stop_after: 2, ..WHOLE }).unwrap_err();
    execute(place.path(), &document, &How { output: "part", resume: true, ..WHOLE }).unwrap();
    assert_eq!(contents(&place.path().join("part")), contents(&place.path().join("out")));
}

/// Gives other outputs from call to call, in a way that nobody can take back.
#[derive(Debug, Serialize, Deserialize)]
struct Fickle {
    model: Box<dyn RegisteredModelSource>,
}

#[typetag::serde(name = "test_fickle")]
impl RegisteredModelSource for Fickle {}

impl ModelSource for Fickle {
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        let calls = Cell::new(0.0);
        let pass = move |model: &dyn Model, inputs: &NamedTensors| {
            calls.set(calls.get() + 1.0);
            // A tensor: a number would be a constant of the operation, and the pass another path.
            let value = fmrai_torch::Tensor::scalar(calls.get())?;
            let outputs = model.forward(inputs)?;
            for (_, tensor) in &outputs.0 {
                fmrai_torch::call("aten::fill_.Tensor", &[tensor.into(), (&value).into()])?;
            }
            Ok(outputs)
        };
        Ok(Box::new(Wrapped { model: self.model.load(context)?, pass: Box::new(pass) }))
    }
}

fn fickle(place: &Path) -> Outcome {
    std::fs::write(place.join("texts.txt"), "one text\nand another").unwrap();
    let document = json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": reference_model() },
        "data": { "type": "text", "path": "texts.txt", "batch_size": 2 },
        "analyses": [{ "type": "test_failing", "stage": "analyze" }, { "type": "test_sums" }],
        "output": "out"
    });
    let wrap = |model| -> Box<dyn RegisteredModelSource> { Box::new(Fickle { model }) };
    execute_wrapped(place, &document, "out", wrap, &Options::default()).unwrap()
}

#[test]
fn outputs_that_differ_are_told_first_and_are_no_success() {
    let place = tempfile::tempdir().unwrap();
    let outcome = fickle(place.path());
    assert!(!outcome.parity.as_ref().unwrap().agrees);
    assert_eq!(outcome.exit(), Exit::OutputsDiffer, "also where an analysis has failed");
    assert_eq!(Exit::OutputsDiffer as i32, 4);
    let text = crate::commands::run::describe(&outcome, &BTreeMap::new());
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("WARNING: the watched model's outputs DIFFER"), "{text}");
    let summary: Value =
        serde_json::from_slice(&std::fs::read(place.path().join("out/summary.json")).unwrap()).unwrap();
    assert_eq!((&summary["status"], &summary["parity"]["agrees"]), (&json!("outputs_differ"), &json!(false)));
}
