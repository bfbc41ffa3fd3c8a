//! Batches for which there is no memory are cut into pieces, and nobody can tell from the results.

use std::path::Path;

use fmrai_core::activations::ActivationFolder;
use fmrai_core::tolerance::Tolerance;
use fmrai_core::tracker::{Activations, CaptureRequest};
use fmrai_torch::TorchError;
use fmrai_torch::model::{LoadContext, Model, ModelError, ModelSource, NamedTensors, RegisteredModelSource};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wrapped::Wrapped;
use super::{execute_wrapped, plan};
use crate::error::{Error, Exit};
use crate::run::{Options, Outcome};

/// What libtorch says where the system has no memory left.
const NO_MEMORY: &str = "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes. \
     Error code 12 (Cannot allocate memory)";

/// There is memory for so many rows at a time; what it gives may depend on all rows of a batch.
#[derive(Debug, Serialize, Deserialize)]
struct Narrow {
    model: Box<dyn RegisteredModelSource>,
    rows: i64,
    mixes: bool,
}

#[typetag::serde(name = "test_narrow")]
impl RegisteredModelSource for Narrow {}

impl ModelSource for Narrow {
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        let (most, mixes) = (self.rows, self.mixes);
        let pass = move |model: &dyn Model, inputs: &NamedTensors| {
            let rows = inputs.get("input_ids").map(|ids| ids.size()[0]).unwrap_or_default();
            if rows > most {
                return Err(TorchError::new(NO_MEMORY).into());
            }
            if !mixes {
                return model.forward(inputs);
            }
            // Every row gets what belongs to the one before.
            let mixed = inputs.0.iter().map(|(name, tensor)| Ok((name.clone(), tensor.roll(1, 0)?)));
            model.forward(&NamedTensors(mixed.collect::<Result<_, TorchError>>()?))
        };
        Ok(Box::new(Wrapped { model: self.model.load(context)?, pass: Box::new(pass) }))
    }
}

fn document() -> Value {
    let mut document = plan(&json!([
        { "type": "test_sums" },
        { "type": "test_sums", "name": "tokens", "unit": "tokens" },
        { "type": "attention_patterns" }
    ]));
    document["data"]["batch_size"] = json!(7);
    document["capture"] = json!({ "select": ["attention[*].probabilities", "embedding[0]"] });
    document["parity"] = json!("every");
    document
}

fn go(place: &Path, document: &Value, output: &str, rows: i64, mixes: bool) -> Result<Outcome, Error> {
    let wrap = |model| -> Box<dyn RegisteredModelSource> { Box::new(Narrow { model, rows, mixes }) };
    execute_wrapped(place, document, output, wrap, &Options::default())
}

/// What was captured is the same.
fn same_activations(one: &Path, other: &Path) {
    let open = |folder: &Path| ActivationFolder::open(&folder.join("activations")).unwrap();
    let (one, other) = (open(one), open(other));
    let request: CaptureRequest = one.manifest().tensors.iter().map(|entry| entry.id).collect();
    for at in 0..one.manifest().batches.len() {
        let [one, other] = [&one, &other].map(|folder| {
            let mut batch = folder.batch(at).unwrap().unwrap();
            let samples: Vec<u64> = batch.samples().iter().map(|sample| sample.id).collect();
            (samples, batch.read(&request).unwrap())
        });
        assert_eq!(one.0, other.0);
        for id in request.tensors() {
            let [one, other] = [&one.1, &other.1].map(|read| read.tensor(id).unwrap().unwrap());
            assert_eq!(one.shape(), other.shape());
            Tolerance::ACTIVATION.check(other.f32().unwrap(), one.f32().unwrap()).unwrap();
        }
    }
}

#[test]
fn a_batch_for_which_there_is_no_memory_is_seen_in_pieces() {
    let place = super::place();
    let place = place.path();
    let whole = go(place, &document(), "whole", i64::MAX, false).unwrap();
    assert_eq!(whole.exit(), Exit::Success);
    for rows in [1, 2, 3, 5] {
        let output = format!("rows-{rows}");
        let mut document = document();
        if rows == 1 {
            // Passes on a single row do not tell where it is in a tensor.
            document.as_object_mut().unwrap().remove("capture");
        }
        let cut = go(place, &document, &output, rows, false).unwrap();
        assert_eq!(cut.exit(), Exit::Success, "{:?}", cut.warnings);
        assert_eq!(cut.counts, whole.counts);
        let parity = cut.parity.as_ref().unwrap();
        assert!(
            parity.agrees && parity.batches > whole.parity.as_ref().unwrap().batches,
            "each piece is compared"
        );
        for ((name, one), (_, other)) in whole.analyses.iter().zip(&cut.analyses) {
            let [one, other] = [one, other].map(|answer| answer.as_ref().unwrap());
            assert_eq!(one.get("count"), other.get("count"), "{name}");
            if let (Some(one), Some(other)) = (one.get("sum"), other.get("sum")) {
                let [one, other] = [one, other].map(|sum| sum.as_f64().unwrap());
                assert!(Tolerance::STATISTIC.accepts(other, one), "{name}: {one} {other}");
            }
        }
        if rows > 1 {
            same_activations(&place.join("whole"), &place.join(&output));
        }
    }
}

#[test]
fn samples_that_depend_on_each_other_are_not_parted() {
    let place = super::place();
    let error = go(place.path(), &document(), "out", 4, true).unwrap_err();
    assert_eq!(error.exit(), Exit::Input);
    let error = error.to_string();
    assert!(
        error.starts_with("batch 0: the batch cannot be cut into pieces for which there is memory: what "),
        "{error}"
    );
    assert!(error.ends_with("holds of one sample depends on the others"), "{error}");
}

#[test]
fn where_there_is_no_memory_for_one_sample_the_run_ends() {
    let place = super::place();
    let error = go(place.path(), &document(), "out", 0, false).unwrap_err().to_string();
    assert!(error.contains("can't allocate memory"), "{error}");
}
