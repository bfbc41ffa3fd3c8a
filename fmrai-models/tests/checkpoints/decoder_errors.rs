//! Everything that can be wrong with the checkpoint of a decoder.

use fmrai_core::structure::AttentionForm;
use fmrai_models::CausalLm;
use fmrai_torch::model::ModelError;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::common::*;

/// Model, field of config.json, value, message.
type Case<'a> = (&'a str, &'a str, Value, &'a str);

#[test]
fn settings_that_would_change_the_result_are_refused() {
    let cases: &[Case<'_>] = &[
        (
            "llama",
            "rope_scaling",
            json!({"rope_type": "longrope", "factor": 2.0}),
            "`rope_scaling.rope_type` is \"longrope\", supported are default, dynamic, linear, llama3, yarn",
        ),
        (
            "llama",
            "rope_scaling",
            json!({"type": "su"}),
            "`rope_scaling.type` is \"su\", supported are default, dynamic, linear, llama3, yarn",
        ),
        ("llama", "rope_scaling", json!({"type": "linear"}), "no `rope_scaling.factor`"),
        (
            "llama",
            "rope_scaling",
            json!({"type": "linear", "factor": 0.5}),
            "`rope_scaling.factor` is 0.5, at least 1 is needed",
        ),
        (
            "llama",
            "rope_scaling",
            json!({"type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0}),
            "`rope_scaling.high_freq_factor` is 4, more than `low_freq_factor`, 4, is needed",
        ),
        (
            "llama",
            "rope_scaling",
            json!({"type": "default", "mrope_section": [1, 1]}),
            "`rope_scaling.mrope_section` is [1,1], known are attention_factor, beta_fast, beta_slow, factor, finetuned, \
             high_freq_factor, low_freq_factor, mscale, mscale_all_dim, original_max_position_embeddings, \
             partial_rotary_factor, rope_theta, rope_type, truncate, type",
        ),
        ("llama", "rope_scaling", json!("linear"), "`rope_scaling` is \"linear\", an object is needed"),
        (
            "llama",
            "partial_rotary_factor",
            json!(0.5),
            "`partial_rotary_factor` is not 1, which llama models have",
        ),
        (
            "gpt_neox",
            "rotary_pct",
            json!(0.4),
            "0.4 of the 8 channels of a head have rotary positions, an even number of them is needed",
        ),
        (
            "gemma3",
            "rope_parameters",
            json!({"rope_type": "default"}),
            "`rope_parameters` is {\"rope_type\":\"default\"}, objects called full_attention and sliding_attention are needed",
        ),
        (
            "llama",
            "hidden_act",
            json!("mish"),
            "`hidden_act` is \"mish\", supported are gelu, gelu_fast, gelu_new, gelu_python, gelu_pytorch_tanh, quick_gelu, \
             relu, silu, swish, tanh",
        ),
        (
            "llama",
            "num_key_value_heads",
            json!(3),
            "`num_key_value_heads` is 3, a divisor of the 4 heads (`num_attention_heads`) is needed",
        ),
        ("gpt2", "n_head", json!(3), "`n_embd` is 16, which 3 heads (`n_head`) do not divide"),
        (
            "llama",
            "hidden_size",
            json!(null),
            "`hidden_size` is null, an integer from 1 to 1073741824 is needed",
        ),
        ("llama", "attention_bias", json!("no"), "`attention_bias` is \"no\", true or false is needed"),
        (
            "gpt2",
            "add_cross_attention",
            json!(true),
            "`add_cross_attention` is true, only false is supported",
        ),
        (
            "gemma3",
            "use_bidirectional_attention",
            json!(true),
            "`use_bidirectional_attention` is true, only false is supported",
        ),
        (
            "gemma3",
            "attn_logit_softcapping",
            json!(50.0),
            "`attn_logit_softcapping` is 50.0, gemma3 models have none (null)",
        ),
        (
            "gemma2",
            "final_logit_softcapping",
            json!(0),
            "`final_logit_softcapping` is 0, a number above 0 is needed",
        ),
        (
            "gemma2",
            "layer_types",
            json!(["full_attention"]),
            "`layer_types` is [\"full_attention\"], a list of \"full_attention\" and \"sliding_attention\" for the 2 layers is \
             needed",
        ),
        (
            "qwen3",
            "layer_types",
            json!(["full_attention", "sliding_attention"]),
            "`layer_types` is [\"full_attention\",\"sliding_attention\"], but there is no `sliding_window`",
        ),
        (
            "mistral",
            "layer_types",
            json!(["full_attention", "full_attention"]),
            "`layer_types` is [\"full_attention\",\"full_attention\"], mistral models have none",
        ),
        (
            "mistral",
            "sliding_window",
            json!(0),
            "`sliding_window` is 0, an integer from 1 to 1073741824 is needed",
        ),
        (
            "gpt2",
            "eos_token_id",
            json!("</s>"),
            "`eos_token_id` is \"</s>\", an integer below 1073741824, a list of them or null is needed",
        ),
        (
            "gemma3-vision",
            "text_config",
            json!({"hidden_size": -1}),
            "`text_config.hidden_size` is -1, an integer from 1 to 1073741824 is needed",
        ),
        (
            "llama",
            "quantization_config",
            json!({"quant_method": "hqq"}),
            "weights quantised by hqq are not read, only those by awq, compressed-tensors, fbgemm_fp8, fp8, gptq: use the \
             checkpoint that they were made of",
        ),
    ];
    for (model, field, value, message) in cases {
        let checkpoint = Checkpoint::of(model);
        assert_eq!(checkpoint.config(field, value.clone()).error(), format!("./config.json: {message}"));
    }
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let checkpoint = Checkpoint::of("llama");
    checkpoint.weights(|weights| {
        weights.remove("model.layers.1.mlp.up_proj.weight");
        weights.insert("model.layers.0.self_attn.q_proj.bias".into(), Stored::f32(&[16], &[0.0; 16]));
        weights.insert("model.norm.weight".into(), Stored::f32(&[3], &[1.0; 3]));
    });
    assert_eq!(
        checkpoint.error(),
        ".: the weights do not fit a llama model: missing model.layers.1.mlp.up_proj.weight; unknown \
         model.layers.0.self_attn.q_proj.bias; of another shape model.norm.weight: found [3], needed [16]"
    );
    // Without a head of its own, a model that is not tied cannot give logits.
    let checkpoint = Checkpoint::of("llama");
    checkpoint.weights(|weights| drop(weights.remove("lm_head.weight")));
    assert_eq!(checkpoint.error(), ".: the weights do not fit a llama model: missing lm_head.weight");
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let model = load(&model_folder("gpt2"));
    let ones: &[i64] = &[1; 33];
    let error = |named: &[(&str, &[&[i64]])]| model.forward(&inputs(named)).unwrap_err().to_string();
    assert_eq!(
        error(&[("input_ids", &[ones]), ("attention_mask", &[ones])]),
        "the model takes at most 32 tokens, was given 33 tokens"
    );
    assert_eq!(
        error(&[("input_ids", &[&[44]]), ("attention_mask", &[&[1]])]),
        "the model takes `input_ids` from 0 to 43, was given 44"
    );
    assert_eq!(
        error(&[("input_ids", &[&[4]]), ("attention_mask", &[&[1]]), ("token_type_ids", &[&[0]])]),
        "the model takes no `token_type_ids`, was given some: gpt2 has no token types"
    );
}

#[test]
fn a_model_made_in_memory_is_checked_as_one_that_was_read() {
    let config: Value =
        serde_json::from_slice(&std::fs::read(model_folder("gpt2").join("config.json")).unwrap()).unwrap();
    let shapes = CausalLm::weight_shapes(&config).unwrap();
    let make = |change: &dyn Fn(&mut std::collections::BTreeMap<String, Tensor>)| {
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        let mut weights = shapes.iter().map(|(name, shape)| (name.clone(), zeros(shape))).collect();
        change(&mut weights);
        CausalLm::from_weights(&config, weights, None, AttentionForm::Fused)
    };
    assert!(make(&|_| ()).is_ok());
    let error = make(&|weights| drop(weights.remove("transformer.ln_f.bias"))).unwrap_err();
    assert!(matches!(&error, ModelError::Weights { missing, .. } if missing == &["transformer.ln_f.bias"]));
    let error = CausalLm::weight_shapes(&json!({"model_type": "bert"})).unwrap_err().to_string();
    assert!(error.starts_with("config: `model_type` is \"bert\", decoders are gemma2, "), "{error}");
}
