//! Texts that decoders write: against transformers, and with the cache against without.

use std::collections::BTreeMap;
use std::path::Path;

use fmrai_core::structure::AttentionForm;
use fmrai_core::tolerance::Tolerance;
use fmrai_models::{Cache, CausalLm, HfCheckpoint};
use fmrai_torch::Device;
use fmrai_torch::generate::{GenerateConfig, GenerateError, Generated, Stopped, generate};
use fmrai_torch::model::{LoadContext, Model};
use proptest::prelude::*;
use serde_json::json;
use tch::Tensor;

use crate::common::*;

fn decoder(folder: &Path, attention: AttentionForm) -> CausalLm {
    let source = HfCheckpoint { attention, ..HfCheckpoint::new(folder) };
    source
        .load_causal_lm(&LoadContext::new(Path::new("."), Device::Cpu))
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
}

fn logits(model: &CausalLm, ids: &Tensor) -> Tensor {
    let inputs = [("input_ids", ids.shallow_clone()), ("attention_mask", ids.ones_like())];
    model.forward(&named(inputs)).unwrap().get("logits").unwrap().tch()
}

fn continued(model: &CausalLm, prompt: &[u32], config: &GenerateConfig) -> Generated {
    let mut seen = Vec::new();
    let generated = generate(model, prompt, config, &mut |token| seen.push(token)).unwrap();
    assert_eq!(generated.tokens, seen);
    generated
}

/// A copy without end token, so that as many tokens are generated as are asked for.
fn endless(name: &str) -> Checkpoint {
    let checkpoint = Checkpoint::of(name);
    checkpoint.json("config.json", |json| {
        json["eos_token_id"] = json!(null);
        if json.get("text_config").is_some() {
            json["text_config"]["eos_token_id"] = json!(null);
        }
    });
    checkpoint
}

fn ids(expected: &BTreeMap<String, fmrai_core::tensor::TensorValue>, name: &str) -> Vec<u32> {
    expected[name].i64().unwrap().iter().map(|id| u32::try_from(*id).unwrap()).collect()
}

#[test]
fn the_likeliest_tokens_are_those_of_transformers() {
    for name in DECODERS {
        let (checkpoint, expected) = (endless(name), expected(name));
        for form in [AttentionForm::Eager, AttentionForm::Fused] {
            let model = decoder(checkpoint.path(), form);
            let config = GenerateConfig { max_new_tokens: 14, ..GenerateConfig::default() };
            let generated = continued(&model, &ids(&expected, "prompt"), &config);
            assert_eq!(generated.tokens, ids(&expected, "greedy"), "{name} {form:?}");
            assert_eq!(generated.stopped, Stopped::MaxNewTokens);
        }
    }
}

#[test]
fn with_the_cache_logits_are_what_they_are_without() {
    for name in DECODERS {
        for form in [AttentionForm::Eager, AttentionForm::Fused] {
            let model = decoder(&model_folder(name), form);
            let text = int64(&expected(name)["input_ids"]).narrow(0, 0, 1);
            // Dynamic rotary positions are the documented exception beyond the positions of the model.
            let tokens = if name.contains("dynamic") { 12 } else { text.size()[1] };
            let whole = logits(&model, &text.narrow(1, 0, tokens));
            let mut cache = Cache::new();
            let mut start = 0;
            for length in [3, 1, 1, 4, 1, 2, 3, 1, 5, 1] {
                if start == tokens {
                    break;
                }
                let length = i64::min(length, tokens - start);
                let part = model.next_logits(&text.narrow(1, start, length), &mut cache).unwrap();
                start += length;
                assert_eq!(cache.tokens() as i64, start);
                let wanted = whole.select(1, start - 1);
                Tolerance::ACTIVATION
                    .check(&f32s(&part), &f32s(&wanted))
                    .unwrap_or_else(|e| panic!("{name} {form:?}: after {start} tokens: {e}"));
            }
        }
    }
}

#[test]
fn an_end_token_ends_the_text() {
    // Greedy tokens of the reference: 33, 3, 5, 11, ...
    let config = GenerateConfig { max_new_tokens: 14, ..GenerateConfig::default() };
    let ended = |change: &dyn Fn(&Checkpoint)| {
        let checkpoint = endless("gpt2");
        change(&checkpoint);
        let model = decoder(checkpoint.path(), AttentionForm::Fused);
        continued(&model, &ids(&expected("gpt2"), "prompt"), &config)
    };
    let generated = ended(&|c| {
        c.config("eos_token_id", 5);
    });
    assert_eq!(generated, Generated { tokens: vec![33, 3], stopped: Stopped::EndToken });
    // generation_config.json counts before config.json, and may name several.
    let generated = ended(&|c| {
        c.config("eos_token_id", 5).write("generation_config.json", r#"{"eos_token_id": [40, 3]}"#);
    });
    assert_eq!(generated, Generated { tokens: vec![33], stopped: Stopped::EndToken });
}

#[test]
fn the_text_ends_where_the_model_does() {
    let checkpoint = endless("gpt2");
    let model = decoder(checkpoint.path(), AttentionForm::Fused);
    let config = GenerateConfig { max_new_tokens: 100, ..GenerateConfig::default() };
    let generated = continued(&model, &[5; 30], &config);
    // The last token has no position, so it is written and not read.
    assert_eq!((generated.tokens.len(), generated.stopped), (3, Stopped::ModelLimit));
}

#[test]
fn what_cannot_be_continued_is_said() {
    let model = decoder(&model_folder("gpt2"), AttentionForm::Fused);
    let error = |prompt: &[u32], config: &GenerateConfig| {
        generate(&model, prompt, config, &mut |_| ()).unwrap_err().to_string()
    };
    let greedy = GenerateConfig::default();
    assert_eq!(error(&[], &greedy), "the prompt has no token, at least one is needed");
    assert_eq!(error(&[5; 33], &greedy), "the prompt has 33 tokens, the model reads at most 32");
    assert_eq!(error(&[44], &greedy), "the model takes `input_ids` from 0 to 43, was given 44");
    let config = GenerateConfig { temperature: f64::NAN, ..greedy.clone() };
    assert_eq!(error(&[5], &config), "`temperature` is NaN, a number that is not negative is needed");

    let checkpoint = Checkpoint::of("gpt2-scaled");
    checkpoint.weights(|weights| {
        weights.insert("transformer.ln_f.bias".into(), Stored::f32(&[16], &[f32::NAN; 16]));
    });
    let model = decoder(checkpoint.path(), AttentionForm::Fused);
    let result = generate(&model, &[5, 6], &greedy, &mut |_| ());
    assert!(matches!(result, Err(GenerateError::NotANumber { tokens: 2 })), "{result:?}");

    let mut cache = Cache::new();
    let model = decoder(&model_folder("gpt2"), AttentionForm::Fused);
    let two = Tensor::from_slice(&[5i64, 6]).view([2, 1]);
    assert_eq!(model.next_logits(&two, &mut cache).unwrap().size(), [2, 44]);
    let error = model.next_logits(&two.view([1, 2]), &mut cache).unwrap_err().to_string();
    assert_eq!(error, "the model takes texts as many as the cache holds, 2, was given 1");
}

#[test]
fn encoders_do_not_generate() {
    let context = LoadContext::new(Path::new("."), Device::Cpu);
    let error = HfCheckpoint::new(model_folder("bert")).load_causal_lm(&context).unwrap_err().to_string();
    let needed = "decoders are gemma2, gemma3, gemma3_text, gpt2, gpt_neox, llama, mistral, qwen2, qwen3";
    assert!(error.ends_with(&format!("`model_type` is \"bert\", {needed}")), "{error}");
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(6))]
    #[test]
    fn the_same_seed_gives_the_same_text(seed in any::<u64>(), temperature in 0.5f64..2.0) {
        let checkpoint = endless("qwen3");
        let model = decoder(checkpoint.path(), AttentionForm::Fused);
        let config = GenerateConfig { max_new_tokens: 8, temperature, seed, ..GenerateConfig::default() };
        let first = continued(&model, &[5, 6], &config);
        prop_assert_eq!(&first, &continued(&model, &[5, 6], &config));
        prop_assert_eq!(first.tokens.len(), 8);
    }
}
