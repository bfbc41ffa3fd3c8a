//! Decoders against transformers.

use std::collections::BTreeMap;
use std::path::Path;

use fmrai_core::structure::AttentionForm;
use fmrai_core::tensor::{DType, TensorValue};
use fmrai_core::tolerance::Tolerance;
use fmrai_models::{CausalLm, HfCheckpoint, Precision, from_tch};
use fmrai_torch::Device;
use fmrai_torch::model::{LoadContext, Model, ModelSource, NamedTensors};
use safetensors::Dtype;
use serde_json::json;
use tch::{Kind, Tensor};

use crate::common::*;

const FORMS: [AttentionForm; 2] = [AttentionForm::Eager, AttentionForm::Fused];

fn load_as(folder: &Path, attention: AttentionForm, dtype: Precision) -> Box<dyn Model> {
    let source = HfCheckpoint { attention, dtype, ..HfCheckpoint::new(folder) };
    source
        .load(&LoadContext::new(Path::new("."), Device::Cpu))
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
}

fn check(what: &str, model: &dyn Model, expected: &BTreeMap<String, TensorValue>) {
    let logits = model.forward(&batch(expected)).unwrap_or_else(|e| panic!("{what}: {e}"));
    let actual = f32s(logits.get("logits").unwrap());
    let (mask, reference) = (&expected["attention_mask"], expected["logits"].view());
    Tolerance::ACTIVATION
        .check(&valid(&actual, mask), &valid(reference.f32().unwrap(), mask))
        .unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(actual.iter().all(|x| x.is_finite()), "{what}: logits at padding are numbers too");
}

#[test]
fn logits_are_those_of_transformers_with_both_kinds_of_attention() {
    for name in DECODERS {
        for form in FORMS {
            let model = load_as(&model_folder(name), form, Precision::Float32);
            check(&format!("{name} {form:?}"), &*model, &expected(name));
        }
    }
}

#[test]
fn logits_in_16_bits_are_near_those_of_transformers_in_the_same_type() {
    // What 16 bits cost transformers itself, against float32, is 0.04 to 0.16 in bfloat16 and 0.005 to 0.025 in float16.
    // The reference is eager; fused attention rounds at other places.
    let types = [(Precision::Bfloat16, Kind::BFloat16, 0.1), (Precision::Float16, Kind::Half, 0.0125)];
    let mut compared = 0;
    for name in DECODERS {
        let expected = expected(name);
        for (dtype, kind, absolute) in types {
            let key = format!("{}.logits", DType::from(dtype));
            let Some(reference) = expected.get(&key) else { continue };
            for form in FORMS {
                let model = load_as(&model_folder(name), form, dtype);
                let output = model.forward(&batch(&expected)).unwrap();
                let logits = output.get("logits").unwrap();
                assert_eq!((logits.tch().kind(), model.info().dtype), (kind, dtype.into()), "{name}");
                let mask = &expected["attention_mask"];
                let absolute = if form == AttentionForm::Fused { 2.0 * absolute } else { absolute };
                let reference = valid(reference.view().f32().unwrap(), mask);
                Tolerance { absolute, relative: 0.0 }
                    .check(&valid(&f32s(logits), mask), &reference)
                    .unwrap_or_else(|e| panic!("{name} {dtype:?} {form:?}: {e}"));
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 8 * 2 * 2, "eight families, two types, two kinds of attention");
}

#[test]
fn a_text_alone_gives_what_it_gives_in_a_padded_batch() {
    for name in DECODERS.iter().filter(|name| !name.contains("dynamic")) {
        let (expected, model) = (expected(name), load(&model_folder(name)));
        let ids = int64(&expected["input_ids"]);
        let tokens = expected["attention_mask"].i64().unwrap().iter().sum::<i64>() - ids.size()[1];
        let alone = ids.narrow(0, 1, 1).narrow(1, 0, tokens);
        let mask = alone.ones_like();
        let inputs = named([("input_ids", alone), ("attention_mask", mask)]);
        let alone = f32s(model.forward(&inputs).unwrap().get("logits").unwrap());
        let logits = model.forward(&batch(&expected)).unwrap();
        let row = logits.get("logits").unwrap().tch().get(1).narrow(0, 0, tokens);
        Tolerance::ACTIVATION.check(&alone, &f32s(&row)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn position_ids_may_be_given() {
    for name in ["gpt2", "llama", "gemma3"] {
        let (expected, model) = (expected(name), load(&model_folder(name)));
        let mut inputs = batch(&expected);
        let tokens = inputs.0[0].1.size()[1];
        let positions = Tensor::arange(tokens, (Kind::Int64, tch::Device::Cpu)).expand([2, tokens], false);
        inputs.0.extend(named([("position_ids", positions.contiguous())]).0);
        let logits = |inputs: &NamedTensors| f32s(model.forward(inputs).unwrap().get("logits").unwrap());
        let (same, usual) = (logits(&inputs), logits(&batch(&expected)));
        assert_eq!(same, usual, "{name}");
        inputs.0[2].1 = from_tch(&(positions * 2).remainder(30));
        assert_ne!(logits(&inputs), usual, "{name}");
    }
}

#[test]
fn weights_of_a_decoder_alone_and_buffers_of_old_are_understood() {
    let bare = |name: &str, prefix: &str| {
        let checkpoint = Checkpoint::of(name);
        checkpoint.weights(|weights| {
            let strip = |n: String| n.strip_prefix(prefix).map(str::to_owned).unwrap_or(n);
            *weights = std::mem::take(weights).into_iter().map(|(n, w)| (strip(n), w)).collect();
        });
        checkpoint
    };
    for (name, prefix) in [("gpt2", "transformer."), ("qwen2", "model."), ("gpt_neox", "gpt_neox.")] {
        check(name, &*load(bare(name, prefix).path()), &expected(name));
    }
    let checkpoint = bare("gpt2", "transformer.");
    checkpoint.weights(|weights| {
        weights.insert("h.0.attn.bias".into(), Stored::f32(&[1, 1, 4, 4], &[1.0; 16]));
        weights.insert("h.0.attn.masked_bias".into(), Stored::f32(&[], &[-1e4]));
    });
    let model = load(checkpoint.path());
    assert_eq!(model.info().unused_weights, ["h.0.attn.bias", "h.0.attn.masked_bias"]);
    check("gpt2", &*model, &expected("gpt2"));
}

#[test]
fn a_head_that_is_the_embedding_once_more_is_dropped_and_another_is_used() {
    let tied = load(&model_folder("gpt2"));
    let with_head = |change: fn(&mut Vec<u8>)| {
        let checkpoint = Checkpoint::of("gpt2");
        checkpoint.weights(|weights| {
            let mut head = weights["transformer.wte.weight"].clone();
            change(&mut head.bytes);
            weights.insert("lm_head.weight".into(), head);
        });
        load(checkpoint.path())
    };
    let same = with_head(|_| ());
    assert_eq!(same.info().parameters, tied.info().parameters);
    check("gpt2", &*same, &expected("gpt2"));
    let other = with_head(|bytes| bytes.reverse());
    assert_eq!(other.info().parameters, tied.info().parameters + 44 * 16);
    assert!(other.parameters().iter().any(|(name, _)| name == "lm_head.weight"));
}

#[test]
fn info_tells_what_was_read() {
    let model = load(&model_folder("llama-linear"));
    let info = model.info();
    assert_eq!((info.source.as_str(), info.architecture.as_str()), ("hf_checkpoint", "llama"));
    assert_eq!(info.files.iter().filter(|f| f.name.starts_with("model")).count(), 5, "shards and index");
    let layer = 2 * 16 * 16 + 2 * 8 * 16 + 3 * 16 * 24 + 2 * 16;
    assert_eq!(info.parameters, 2 * 44 * 16 + 2 * layer + 16);
    assert_eq!(info.max_tokens, Some(256), "64 positions, four times as long");
    assert!(info.non_finite_weights.is_empty());
    let tokens = |name| load(&model_folder(name)).info().max_tokens;
    assert_eq!([tokens("gpt2"), tokens("llama")], [Some(32), Some(64)]);
    assert_eq!([tokens("llama-dynamic"), tokens("llama-yarn")], [Some(36), Some(64)]);
    let vision = load(&model_folder("gemma3-vision"));
    let of_pictures = |name: &String| name.starts_with("vision_tower.") || name.starts_with("multi_modal");
    assert!(!vision.info().unused_weights.is_empty());
    assert!(vision.info().unused_weights.iter().all(of_pictures), "{:?}", vision.info().unused_weights);
}

#[test]
fn weights_of_any_stored_type_give_the_same_in_float32() {
    // The reference weights are stored in bfloat16, so widening them loses nothing.
    let checkpoint = Checkpoint::of("llama");
    checkpoint.weights(|weights| {
        for weight in weights.values_mut() {
            assert_eq!(weight.dtype, Dtype::BF16);
            let widened = weight.bytes.chunks_exact(2).flat_map(|b| [0, 0, b[0], b[1]]).collect();
            (weight.bytes, weight.dtype) = (widened, Dtype::F32);
        }
    });
    check("llama", &*load(checkpoint.path()), &expected("llama"));
}

#[test]
fn both_spellings_of_a_config_mean_the_same() {
    let respelled = |name: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let checkpoint = Checkpoint::of(name);
        checkpoint.json("config.json", |json| change(json));
        check(name, &*load(checkpoint.path()), &expected(name));
    };
    // The files of these are as transformers 5 writes them, or 4; here the other way round.
    respelled("llama-llama3", &|json| {
        let parameters = json.as_object_mut().unwrap().remove("rope_parameters").unwrap();
        json["rope_theta"] = parameters["rope_theta"].clone();
        json["rope_scaling"] = parameters;
    });
    respelled("llama-yarn", &|json| {
        let mut parameters = json.as_object_mut().unwrap().remove("rope_scaling").unwrap();
        parameters["rope_type"] = parameters["type"].take();
        parameters.as_object_mut().unwrap().remove("type");
        parameters["rope_theta"] = json.as_object_mut().unwrap().remove("rope_theta").unwrap();
        json["rope_parameters"] = parameters;
    });
    respelled("gpt_neox", &|json| {
        let fields = json.as_object_mut().unwrap();
        let (base, share) = (fields.remove("rotary_emb_base").unwrap(), fields.remove("rotary_pct").unwrap());
        json["rope_parameters"] = json!({"rope_theta": base, "partial_rotary_factor": share});
    });
    respelled("gemma3", &|json| {
        let parameters = json.as_object_mut().unwrap().remove("rope_parameters").unwrap();
        let (full, sliding) = (&parameters["full_attention"], &parameters["sliding_attention"]);
        json["rope_theta"] = full["rope_theta"].clone();
        json["rope_scaling"] = json!({"rope_type": full["rope_type"], "factor": full["factor"]});
        json["rope_local_base_freq"] = sliding["rope_theta"].clone();
        json["sliding_window_pattern"] = json!(3);
        json.as_object_mut().unwrap().remove("layer_types");
    });
}

#[test]
fn weights_can_be_trained() {
    for name in DECODERS.iter().filter(|name| **name != "gemma3-vision") {
        let config = std::fs::read(model_folder(name).join("config.json")).unwrap();
        let config = serde_json::from_slice(&config).unwrap();
        let loaded = load(&model_folder(name));
        let needed = CausalLm::weight_shapes(&config).unwrap();
        let weights: BTreeMap<_, _> = loaded
            .parameters()
            .into_iter()
            .filter(|(name, _)| needed.iter().any(|(n, _)| n == name))
            .map(|(name, weight)| (name, weight.tch().set_requires_grad(true)))
            .collect();
        let model = CausalLm::from_weights(&config, weights, None, AttentionForm::Fused).unwrap();
        let expected = expected(name);
        check(name, &model, &expected);
        let logits = model.forward(&batch(&expected)).unwrap();
        logits.get("logits").unwrap().tch().logsumexp([-1], false).mean(Kind::Float).backward();
        for (weight, tensor) in model.parameters() {
            if tensor.requires_grad() {
                let slope = tensor.tch().grad().abs().max();
                assert!(slope.double_value(&[]).is_normal(), "{name}: {weight} has no gradient");
            }
        }
    }
}
