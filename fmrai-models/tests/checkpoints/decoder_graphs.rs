//! What is recorded of decoders: hidden states against transformers, and structure against the config.

use std::path::Path;
use std::sync::Arc;

use fmrai_core::graph::{Graph, Origin, RecordedGraph, TensorId};
use fmrai_core::structure::{
    ActivationFunction, AttentionForm, AttentionKind, EmbeddingKind, NormKind, Structure,
};
use fmrai_core::tolerance::Tolerance;
use fmrai_core::tracker::{CaptureRequest, Tracker};
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::model::Model;
use serde_json::Value;
use tch::Tensor;

use crate::common::*;

/// A model, and the graph of a small batch of it.
struct Recorded {
    model: Box<dyn Model>,
    tracker: DispatchTracker,
    graph: Arc<RecordedGraph>,
}

fn record(folder: &Path, form: AttentionForm) -> Recorded {
    let model = try_load(folder, form).unwrap();
    let _no_grad = tch::no_grad_guard();
    let mut tracker = DispatchTracker::new().unwrap();
    for (name, tensor) in model.parameters() {
        tracker.name_parameter(&name, &tensor);
    }
    let first = inputs(&[("input_ids", &[&[5, 6, 7]]), ("attention_mask", &[&[1, 1, 1]])]);
    for (name, tensor) in &first.0 {
        tracker.name_input(name, tensor);
    }
    let graph = tracker
        .discover(&mut || {
            model.forward(&first)?;
            Ok(())
        })
        .unwrap();
    Recorded { model, tracker, graph }
}

/// Path of the layers and of the norm after them.
fn paths(architecture: &str) -> (&'static str, &'static str) {
    match architecture {
        "gpt2" => ("transformer.h", "transformer.ln_f"),
        "gpt_neox" => ("gpt_neox.layers", "gpt_neox.final_layer_norm"),
        "gemma3" => ("model.language_model.layers", "model.language_model.norm"),
        _ => ("model.layers", "model.norm"),
    }
}

/// The residual stream before each layer, and what the last norm makes of it: what transformers calls hidden states.
fn hidden_states(recorded: &Recorded, layers: usize) -> Vec<TensorId> {
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

#[test]
fn hidden_states_are_those_of_transformers() {
    for name in DECODERS {
        for form in [AttentionForm::Eager, AttentionForm::Fused] {
            let expected = expected(name);
            let layers = expected.keys().filter(|key| key.starts_with("hidden_states.")).count() - 1;
            let mut recorded = record(&model_folder(name), form);
            let states = hidden_states(&recorded, layers);
            let batch = ["input_ids", "attention_mask"].map(|n| (n, int64(&expected[n])));
            let (batch, mask) = (named(batch), int64(&expected["attention_mask"]));
            let request: CaptureRequest = states.iter().copied().collect();
            let _no_grad = tch::no_grad_guard();
            let Recorded { model, tracker, graph } = &mut recorded;
            let kept = tracker
                .track(&request, &mut || {
                    model.forward(&batch)?;
                    Ok(())
                })
                .unwrap_or_else(|e| panic!("{name} {form:?}: {e}"));
            for (state, id) in states.iter().enumerate() {
                let wanted = &expected[&format!("hidden_states.{state}")];
                let shape: Vec<i64> = wanted.shape().iter().map(|&d| d as i64).collect();
                let tensor = |values: &[f32]| Tensor::from_slice(values).view(shape.as_slice());
                let actual = tensor(kept.tensor(*id).unwrap().unwrap().f32().unwrap());
                Tolerance::ACTIVATION
                    .check(&valid(&actual, &mask), &valid(&tensor(wanted.view().f32().unwrap()), &mask))
                    .unwrap_or_else(|e| panic!("{name} {form:?}: hidden state {state}: {e}"));
            }
            let constants: Vec<_> = graph.tensors().iter().filter(|t| t.origin == Origin::Constant).collect();
            assert!(constants.is_empty(), "{name}: every leaf is an input or has a name: {constants:?}");
        }
    }
}

/// What the config of a checkpoint says of a model's structure.
struct Expected {
    layers: usize,
    heads: usize,
    key_value_heads: usize,
    neurons: usize,
    gated: bool,
    function: ActivationFunction,
    norm: NormKind,
    norms: usize,
    /// Additions to the residual stream in each layer.
    additions: usize,
    positions: usize,
    tied: bool,
    softened: bool,
}

fn config_says(name: &str) -> Expected {
    let config: Value =
        serde_json::from_slice(&std::fs::read(model_folder(name).join("config.json")).unwrap()).unwrap();
    let file = config.clone();
    let config = config.get("text_config").cloned().unwrap_or(config);
    let family = config["model_type"].as_str().unwrap();
    let number = |names: &[&str]| names.iter().find_map(|n| config[*n].as_u64()).map(|n| n as usize);
    let layers = number(&["num_hidden_layers", "n_layer"]).unwrap();
    let heads = number(&["num_attention_heads", "n_head"]).unwrap();
    let (plain, gemma) = (matches!(family, "gpt2" | "gpt_neox"), family.starts_with("gemma"));
    let query_key_norms = matches!(family, "qwen3" | "gemma3_text");
    let in_layer = if gemma { 4 } else { 2 } + if query_key_norms { 2 } else { 0 };
    let parallel = family == "gpt_neox" && config["use_parallel_residual"] != false;
    let function = ["activation_function", "hidden_activation", "hidden_act"]
        .iter()
        .find_map(|field| config[*field].as_str())
        .unwrap();
    Expected {
        layers,
        heads,
        key_value_heads: number(&["num_key_value_heads"]).unwrap_or(heads),
        neurons: number(&["intermediate_size", "n_inner"]).unwrap_or(64),
        gated: !plain,
        function: match function {
            "gelu_new" | "gelu_pytorch_tanh" => ActivationFunction::GeluTanh,
            "gelu" => ActivationFunction::Gelu,
            "relu" => ActivationFunction::Relu,
            _ => ActivationFunction::Silu,
        },
        norm: if plain { NormKind::Layer } else { NormKind::Rms },
        norms: layers * in_layer + 1,
        additions: if parallel { 1 } else { 2 },
        positions: usize::from(family == "gpt2"),
        tied: file["tie_word_embeddings"].as_bool().unwrap(),
        softened: config["attn_logit_softcapping"].is_number(),
    }
}

#[test]
fn structure_is_what_the_config_says() {
    for name in DECODERS {
        let says = config_says(name);
        for form in [AttentionForm::Eager, AttentionForm::Fused] {
            let what = format!("{name} {form:?}");
            let recorded = record(&model_folder(name), form);
            let found = Structure::of(recorded.graph.as_ref());
            let (layers, _) = paths(&recorded.model.info().architecture);

            assert_eq!(found.attention.len(), says.layers, "{what}: attention");
            for (layer, block) in found.attention.iter().enumerate() {
                assert_eq!(block.kind, AttentionKind::SelfAttention, "{what}");
                assert_eq!(
                    (block.heads, block.key_value_heads),
                    (says.heads, says.key_value_heads),
                    "{what}"
                );
                assert_eq!(block.form, if says.softened { AttentionForm::Eager } else { form }, "{what}");
                let module = format!("{layers}.{layer}.");
                assert!(block.module.starts_with(&module), "{what}: attention in {}", block.module);
            }

            assert_eq!(found.feed_forward.len(), says.layers, "{what}: feed-forward");
            for (layer, block) in found.feed_forward.iter().enumerate() {
                let (neurons, gated, function) = (block.neurons, block.gated(), block.function);
                assert_eq!((neurons, gated, function), (says.neurons, says.gated, says.function), "{what}");
                assert_eq!(block.module, format!("{layers}.{layer}.mlp"), "{what}");
            }

            assert_eq!(found.norms.len(), says.norms, "{what}: norms");
            assert!(found.norms.iter().all(|norm| norm.kind == says.norm), "{what}: kinds of norms");

            let of_kind = |kind| found.embeddings.iter().filter(|e| e.kind == kind).count();
            let embeddings = (of_kind(EmbeddingKind::Token), of_kind(EmbeddingKind::Position));
            assert_eq!(embeddings, (1, says.positions), "{what}: embeddings");
            assert_eq!(found.embeddings.len(), 1 + says.positions, "{what}: embeddings");

            assert_eq!(found.unembedding.len(), 1, "{what}: unembedding");
            let head = &found.unembedding[0];
            assert_eq!((head.vocabulary, head.size, head.tied), (true, 44, says.tied), "{what}");
            assert_eq!(head.module, "lm_head", "{what}");

            assert_eq!(found.residual.len(), says.additions * says.layers, "{what}: residual");
            assert!(found.residual.iter().all(|addition| addition.stream == 0), "{what}: one stream");
            let writers = found.residual.iter().map(|addition| addition.writers.len()).sum::<usize>();
            assert_eq!(writers, 2 * says.layers, "{what}: each block writes once");
        }
    }
}
