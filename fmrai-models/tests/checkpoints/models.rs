//! Encoders against transformers.

use std::path::Path;

use fmrai_core::registry::Registered;
use fmrai_core::structure::AttentionForm;
use fmrai_core::tensor::DType;
use fmrai_core::tolerance::Tolerance;
use fmrai_models::{HfCheckpoint, Precision};
use fmrai_torch::Device;
use fmrai_torch::model::{LoadContext, Model, ModelSource, ModelSources, NamedTensors, NonFiniteWeight};
use half::{bf16, f16};
use safetensors::Dtype;
use serde_json::json;
use sha2::{Digest, Sha256};
use tch::Kind;

use crate::common::*;

fn run(model: &dyn Model, all: &[(&str, &fmrai_core::tensor::TensorValue)]) -> NamedTensors {
    model
        .forward(&named(all.iter().map(|(name, value)| (*name, int64(value)))))
        .unwrap_or_else(|e| panic!("{e}"))
}

/// Compares the outputs for the reference texts and the reference pair with those of transformers.
fn check(name: &str, model: &dyn Model) {
    let expected = expected(name);
    let compare = |outputs: &NamedTensors, output: &str, reference: &str| {
        let actual = f32s(outputs.get(output).unwrap_or_else(|| panic!("{name}: no {output}")));
        let reference = expected[reference].view();
        let reference = reference.f32().unwrap();
        Tolerance::ACTIVATION.check(&actual, reference).unwrap_or_else(|e| panic!("{name} {output}: {e}"));
    };
    let named = [("input_ids", &expected["input_ids"]), ("attention_mask", &expected["attention_mask"])];
    let outputs = run(model, &named);
    compare(&outputs, "last_hidden_state", "last_hidden_state");
    assert_eq!(outputs.get("pooler_output").is_some(), expected.contains_key("pooler_output"), "{name}");
    if expected.contains_key("pooler_output") {
        compare(&outputs, "pooler_output", "pooler_output");
    }

    let Some(pair) = expected.get("pair.input_ids") else { return };
    let tokens = pair.shape()[1];
    let ones = fmrai_core::tensor::TensorData::I64(vec![1; tokens]);
    let mask = fmrai_core::tensor::TensorValue::new([1, tokens], ones).unwrap();
    let mut named = vec![("input_ids", pair), ("attention_mask", &mask)];
    if model.info().architecture == "bert" {
        named.push(("token_type_ids", &expected["pair.token_type_ids"]));
    }
    compare(&run(model, &named), "last_hidden_state", "pair.last_hidden_state");
}

#[test]
fn outputs_are_those_of_pytorch_with_both_kinds_of_attention() {
    for name in MODELS {
        for form in [AttentionForm::Fused, AttentionForm::Eager] {
            let model = try_load(&model_folder(name), form).unwrap_or_else(|e| panic!("{name}: {e}"));
            check(name, &*model);
        }
    }
}

#[test]
fn families_of_the_same_architecture_load_the_same() {
    for model_type in ["xlm-roberta", "camembert"] {
        let checkpoint = Checkpoint::of("roberta");
        let model = load(checkpoint.config("model_type", model_type).path());
        assert_eq!(model.info().architecture, model_type);
        check("roberta", &*model);
    }
}

#[test]
fn weights_are_found_with_and_without_prefix() {
    for (name, prefix) in [("bert", "bert."), ("distilbert", "distilbert.")] {
        let checkpoint = Checkpoint::of(name);
        checkpoint.weights(|weights| {
            *weights =
                std::mem::take(weights).into_iter().map(|(n, w)| (format!("{prefix}{n}"), w)).collect();
        });
        check(name, &*load(checkpoint.path()));
    }
    let checkpoint = Checkpoint::of("roberta");
    checkpoint.weights(|weights| {
        let bare = |name: String| name.strip_prefix("roberta.").map(str::to_owned).unwrap_or(name);
        *weights = std::mem::take(weights).into_iter().map(|(n, w)| (bare(n), w)).collect();
    });
    check("roberta", &*load(checkpoint.path()));
}

#[test]
fn info_tells_what_was_read() {
    let model = load(&model_folder("bert"));
    let info = model.info();
    assert_eq!((info.source.as_str(), info.architecture.as_str()), ("hf_checkpoint", "bert"));
    assert_eq!((info.dtype, info.max_tokens), (DType::Float32, Some(64)));
    // (280 + 64 + 2 + 2) * 32 of the embeddings, 3 layers, the pooler.
    let layer = 4 * (32 * 32 + 32) + 2 * 2 * 32 + 2 * 32 * 64 + 64 + 32;
    assert_eq!(info.parameters, (280 + 64 + 2 + 2) * 32 + 3 * layer + 32 * 32 + 32);
    assert!(info.unused_weights.is_empty() && info.non_finite_weights.is_empty());
    let names: Vec<_> = info.files.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "config.json",
            "model.safetensors",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
    for file in &info.files {
        let bytes = std::fs::read(model_folder("bert").join(&file.name)).unwrap();
        let hash: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!((file.bytes, &file.sha256), (bytes.len() as u64, &hash), "{}", file.name);
    }

    // Positions of RoBERTa start behind the padding token, so two rows of the table are never used by tokens.
    assert_eq!(load(&model_folder("roberta")).info().max_tokens, Some(64));
    let sharded = load(&model_folder("bert-sharded"));
    let shards = sharded.info().files.iter().filter(|f| f.name.starts_with("model")).count();
    assert_eq!(shards, 5, "four shards and their index");
}

#[test]
fn heads_for_other_tasks_and_old_buffers_are_listed_as_unused() {
    let unused = |name: &str| load(&model_folder(name)).info().unused_weights.clone();
    assert_eq!(unused("minilm"), ["embeddings.position_ids"]);
    assert_eq!(
        unused("roberta"),
        [
            "lm_head.bias",
            "lm_head.dense.bias",
            "lm_head.dense.weight",
            "lm_head.layer_norm.bias",
            "lm_head.layer_norm.weight"
        ]
    );
    let pretraining = unused("bert-pretraining");
    assert!(pretraining.iter().all(|name| name.starts_with("cls.")), "{pretraining:?}");
    assert!(pretraining.contains(&"cls.predictions.transform.LayerNorm.gamma".to_owned()), "{pretraining:?}");
    let masked = unused("distilbert-mlm");
    assert!(masked.iter().all(|name| name.starts_with("vocab_")) && masked.len() >= 5, "{masked:?}");
}

#[test]
fn parameters_are_named_as_modules_and_share_memory() {
    let model = load(&model_folder("distilbert-mlm"));
    let parameters = model.parameters();
    assert!(parameters.is_sorted_by(|a, b| a.0 < b.0));
    let name = "transformer.layer.1.ffn.lin1.weight";
    let (_, weight) = parameters.iter().find(|(n, _)| n == name).unwrap();
    assert_eq!(weight.size(), [64, 32]);
    let again = model.parameters();
    let (_, same) = again.iter().find(|(n, _)| n == name).unwrap();
    assert_eq!(weight.address(), same.address());
    assert!(parameters.iter().all(|(_, tensor)| !tensor.requires_grad()));
    assert_eq!(parameters.iter().map(|(_, t)| t.numel() as u64).sum::<u64>(), model.info().parameters);
}

#[test]
fn half_precision_weights_are_widened_exactly() {
    type Widen = fn(f32) -> ([u8; 2], f32);
    let cases: [(Dtype, Widen); 2] = [
        (Dtype::F16, |x| (f16::from_f32(x).to_le_bytes(), f16::from_f32(x).to_f32())),
        (Dtype::BF16, |x| (bf16::from_f32(x).to_le_bytes(), bf16::from_f32(x).to_f32())),
    ];
    for (dtype, widen) in cases {
        let checkpoint = Checkpoint::of("bert");
        let mut expected = std::collections::BTreeMap::new();
        checkpoint.weights(|weights| {
            for (name, weight) in weights {
                let values = weight.values();
                expected.insert(name.clone(), values.iter().map(|x| widen(*x).1).collect::<Vec<_>>());
                weight.bytes = values.iter().flat_map(|x| widen(*x).0).collect();
                weight.dtype = dtype;
            }
        });
        for (name, tensor) in load(checkpoint.path()).parameters() {
            assert_eq!(f32s(&tensor), expected[&name], "{name} from {dtype}");
        }
    }
}

#[test]
fn encoders_compute_in_16_bits_where_asked() {
    for (dtype, kind, absolute) in
        [(Precision::Bfloat16, Kind::BFloat16, 0.15), (Precision::Float16, Kind::Half, 0.03)]
    {
        for attention in [AttentionForm::Fused, AttentionForm::Eager] {
            let source = HfCheckpoint { attention, dtype, ..HfCheckpoint::new(model_folder("bert")) };
            let model = source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap();
            let expected = expected("bert");
            let named =
                [("input_ids", &expected["input_ids"]), ("attention_mask", &expected["attention_mask"])];
            let outputs = run(&*model, &named);
            let output = outputs.get("last_hidden_state").unwrap();
            assert_eq!((output.tch().kind(), model.info().dtype), (kind, dtype.into()));
            let reference = expected["last_hidden_state"].view();
            Tolerance { absolute, relative: 0.0 }
                .check(&f32s(output), reference.f32().unwrap())
                .unwrap_or_else(|e| panic!("{dtype:?} {attention:?}: {e}"));
        }
    }
}

#[test]
fn weights_that_are_no_numbers_are_counted() {
    let checkpoint = Checkpoint::of("bert");
    checkpoint.weights(|weights| {
        let mut values = weights["pooler.dense.bias"].values();
        values[..3].copy_from_slice(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        weights.insert("pooler.dense.bias".to_owned(), Stored::f32(&[32], &values));
    });
    let found = load(checkpoint.path()).info().non_finite_weights.clone();
    assert_eq!(found, [NonFiniteWeight { name: "pooler.dense.bias".to_owned(), nan: 1, infinite: 2 }]);
}

#[test]
fn a_checkpoint_may_have_no_pooler() {
    let checkpoint = Checkpoint::of("bert");
    checkpoint.weights(|weights| weights.retain(|name, _| !name.starts_with("pooler")));
    let model = load(checkpoint.path());
    let outputs =
        model.forward(&inputs(&[("input_ids", &[&[2, 9, 3]]), ("attention_mask", &[&[1, 1, 1]])])).unwrap();
    assert!(outputs.get("pooler_output").is_none() && outputs.get("last_hidden_state").is_some());
}

#[test]
fn activation_and_epsilon_of_the_config_are_used() {
    // Another activation or epsilon has to change the result, or the golden test would not see a mistake in them.
    let first = |change: &dyn Fn(&Checkpoint)| {
        let checkpoint = Checkpoint::of("bert");
        change(&checkpoint);
        let given = inputs(&[("input_ids", &[&[2, 9, 40, 3]]), ("attention_mask", &[&[1; 4]])]);
        f32s(load(checkpoint.path()).forward(&given).unwrap().get("last_hidden_state").unwrap())
    };
    let base = first(&|_| ());
    for act in ["gelu_new", "relu", "silu", "quick_gelu", "tanh"] {
        assert_ne!(
            first(&|c| {
                c.config("hidden_act", act);
            }),
            base,
            "{act}"
        );
    }
    assert_ne!(
        first(&|c| {
            c.config("layer_norm_eps", 0.1);
        }),
        base
    );
    assert_eq!(
        first(&|c| {
            c.config("layer_norm_eps", json!(null));
        }),
        base
    );
}

#[test]
fn sources_are_listed_with_their_fields() {
    let sources = ModelSources::linked().unwrap();
    let names: Vec<_> = sources.iter().map(|s| s.about().name).collect();
    assert_eq!(names, ["exported_program", "gguf", "hf_checkpoint", "torchscript"]);
    let schema = (sources.get("hf_checkpoint").unwrap().about().schema)();
    let fields: Vec<_> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["path", "attention", "dtype", "weight_bytes"]);
    assert!(schema["properties"]["path"]["description"].as_str().is_some());
    assert_eq!(schema["additionalProperties"], json!(false));
}
