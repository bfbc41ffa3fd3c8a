//! What is recorded of decoders: hidden states against transformers, and structure against the config.

use fmrai_core::graph::{Graph, Origin};
use fmrai_core::structure::{
    ActivationFunction, AttentionForm, AttentionKind, EmbeddingKind, NormKind, Structure,
};
use serde_json::Value;

use crate::common::*;
use crate::recorded::{check_hidden_states, paths, record};

#[test]
fn hidden_states_are_those_of_transformers() {
    for name in DECODERS {
        for form in [AttentionForm::Eager, AttentionForm::Fused] {
            let mut recorded = record(try_load(&model_folder(name), form).unwrap());
            check_hidden_states(&format!("{name} {form:?}"), &mut recorded, &expected(name));
            let tensors = recorded.graph.tensors().iter();
            let constants: Vec<_> = tensors.filter(|t| t.origin == Origin::Constant).collect();
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
            let recorded = record(try_load(&model_folder(name), form).unwrap());
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
