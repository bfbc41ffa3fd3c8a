//! Models with the graph that is recorded of them, and their hidden states in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fmrai_core::graph::{Graph, RecordedGraph, TensorId};
use fmrai_core::tensor::TensorValue;
use fmrai_core::tolerance::Tolerance;
use fmrai_core::tracker::{CaptureRequest, Tracker};
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::model::{Model, NamedTensors};
use tch::Tensor;

use crate::common::*;

/// float32 through several layers: kernels of processors with AVX-512 sum in another order than those with AVX2, where the references were made.
const HIDDEN_STATE: Tolerance = Tolerance { absolute: 3e-5, relative: 3e-5 };

/// A model, and the graph of a small batch of it.
pub(crate) struct Recorded {
    pub(crate) model: Box<dyn Model>,
    pub(crate) tracker: DispatchTracker,
    pub(crate) graph: Arc<RecordedGraph>,
}

/// The model with the graph of a text of three tokens.
pub(crate) fn record(model: Box<dyn Model>) -> Recorded {
    let first = inputs(&[("input_ids", &[&[5, 6, 7]]), ("attention_mask", &[&[1, 1, 1]])]);
    record_on(model, &first)
}

/// The model with the graph of these inputs.
pub(crate) fn record_on(model: Box<dyn Model>, first: &NamedTensors) -> Recorded {
    let _no_grad = tch::no_grad_guard();
    let mut tracker = DispatchTracker::new().unwrap();
    for (name, tensor) in model.parameters() {
        tracker.name_parameter(&name, &tensor);
    }
    for (name, tensor) in &first.0 {
        tracker.name_input(name, tensor);
    }
    let graph = tracker
        .discover(&mut || {
            model.forward(first)?;
            Ok(())
        })
        .unwrap();
    Recorded { model, tracker, graph }
}

/// Path of the layers and of the norm after them.
pub(crate) fn paths(architecture: &str) -> (&'static str, &'static str) {
    match architecture {
        "gpt2" => ("transformer.h", "transformer.ln_f"),
        "gpt_neox" => ("gpt_neox.layers", "gpt_neox.final_layer_norm"),
        "gemma3" => ("model.language_model.layers", "model.language_model.norm"),
        _ => ("model.layers", "model.norm"),
    }
}

/// The residual stream before each layer, and what the last norm makes of it: what transformers calls hidden states.
pub(crate) fn hidden_states(recorded: &Recorded, layers: usize) -> Vec<TensorId> {
    let (layer_path, norm) = paths(&recorded.model.info().architecture);
    let operations = recorded.graph.operations();
    let before = (0..layers).map(|layer| {
        let path = format!("{layer_path}.{layer}.");
        operations.iter().find(|o| o.module.starts_with(&path)).unwrap().inputs().next().unwrap()
    });
    let last = operations.iter().rfind(|o| o.module == norm).unwrap().outputs[0];
    before.chain([last]).collect()
}

fn valid(tensor: &Tensor, mask: &Tensor) -> Vec<f32> {
    let keep = mask.to_kind(tch::Kind::Bool).unsqueeze(-1).expand_as(tensor);
    f32s(&tensor.masked_select(&keep))
}

/// Compares the hidden states of a batch with those that are expected.
pub(crate) fn check_hidden_states(
    what: &str,
    recorded: &mut Recorded,
    expected: &BTreeMap<String, TensorValue>,
) {
    let layers = expected.keys().filter(|key| key.starts_with("hidden_states.")).count() - 1;
    let states = hidden_states(recorded, layers);
    let batch = ["input_ids", "attention_mask"].map(|n| (n, int64(&expected[n])));
    let (batch, mask) = (named(batch), int64(&expected["attention_mask"]));
    let request: CaptureRequest = states.iter().copied().collect();
    let _no_grad = tch::no_grad_guard();
    let Recorded { model, tracker, .. } = recorded;
    let kept = tracker
        .track(&request, &mut || {
            model.forward(&batch)?;
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{what}: {e}"));
    for (state, id) in states.iter().enumerate() {
        let wanted = &expected[&format!("hidden_states.{state}")];
        let shape: Vec<i64> = wanted.shape().iter().map(|&d| d as i64).collect();
        let tensor = |values: &[f32]| Tensor::from_slice(values).view(shape.as_slice());
        let actual = tensor(kept.tensor(*id).unwrap().unwrap().f32().unwrap());
        HIDDEN_STATE
            .check(&valid(&actual, &mask), &valid(&tensor(wanted.view().f32().unwrap()), &mask))
            .unwrap_or_else(|e| panic!("{what}: hidden state {state}: {e}"));
    }
}
