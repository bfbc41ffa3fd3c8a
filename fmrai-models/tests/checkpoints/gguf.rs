//! GGUF files against transformers with the weights that the files stand for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::{Graph, Origin, fingerprint};
use fmrai_core::structure::AttentionForm;
use fmrai_core::tensor::{TensorValue, from_safetensors};
use fmrai_core::tolerance::Tolerance;
use fmrai_models::{Gguf, Precision};
use fmrai_torch::Device;
use fmrai_torch::generate::{GenerateConfig, generate};
use fmrai_torch::model::{LoadContext, LoadedWeights, Model, ModelError, ModelSource};

use crate::common::*;
use crate::recorded::{check_hidden_states, record};

const DECODERS: [&str; 14] = [
    "gemma2",
    "gemma3",
    "gpt2",
    "gptneox",
    "gptneox-sequential",
    "llama",
    "llama-k",
    "llama-linear",
    "llama-tied",
    "llama-yarn",
    "llama3",
    "mistral",
    "qwen2",
    "qwen3",
];

fn file(name: &str) -> PathBuf {
    reference().join("gguf/models").join(format!("{name}.gguf"))
}

fn expected(name: &str) -> BTreeMap<String, TensorValue> {
    let bytes = std::fs::read(file(name).with_extension("safetensors")).unwrap();
    from_safetensors(&bytes).unwrap().0.into_iter().collect()
}

fn try_load(source: &Gguf) -> Result<Box<dyn Model>, ModelError> {
    source.load(&LoadContext::new(Path::new("."), Device::Cpu))
}

fn load(source: &Gguf) -> Box<dyn Model> {
    try_load(source).unwrap_or_else(|e| panic!("{}: {e}", source.path.display()))
}

fn logits(model: &dyn Model, expected: &BTreeMap<String, TensorValue>, output: &str) -> Vec<f32> {
    f32s(model.forward(&batch(expected)).unwrap().get(output).unwrap())
}

fn check(what: &str, model: &dyn Model, expected: &BTreeMap<String, TensorValue>, output: &str) {
    let mask = &expected["attention_mask"];
    let reference = valid(expected[output].view().f32().unwrap(), mask);
    Tolerance::ACTIVATION
        .check(&valid(&logits(model, expected, output), mask), &reference)
        .unwrap_or_else(|e| panic!("{what}: {e}"));
}

#[test]
fn logits_and_hidden_states_are_those_of_transformers() {
    for name in DECODERS {
        for attention in [AttentionForm::Eager, AttentionForm::Fused] {
            let (model, expected) = (load(&Gguf { attention, ..Gguf::new(file(name)) }), expected(name));
            let what = format!("{name} {attention:?}");
            check(&what, &*model, &expected, "logits");
            check_hidden_states(&what, &mut record(model), &expected);
        }
    }
}

#[test]
fn an_encoder_is_that_of_transformers() {
    let model = load(&Gguf::new(file("bert")));
    check("bert", &*model, &expected("bert"), "last_hidden_state");
    assert_eq!((model.info().architecture.as_str(), model.info().source.as_str()), ("bert", "gguf"));
    assert!(model.tokenizer().is_some() && model.causal().is_none());
}

#[test]
fn the_likeliest_tokens_are_those_of_transformers() {
    for name in DECODERS {
        let (model, expected) = (load(&Gguf::new(file(name))), expected(name));
        let ids = |name: &str| -> Vec<u32> {
            expected[name].i64().unwrap().iter().map(|id| u32::try_from(*id).unwrap()).collect()
        };
        let (prompt, greedy) = (ids("prompt"), ids("greedy"));
        let tokenizer = model.tokenizer().unwrap();
        assert_eq!(tokenizer.encode("the rain", None).unwrap().token_ids, prompt, "{name}");
        let config = GenerateConfig { max_new_tokens: greedy.len(), ..GenerateConfig::default() };
        let generated = generate(model.causal().unwrap(), &prompt, &config, &mut |_| ()).unwrap().tokens;
        // The reference goes on after an end token.
        assert_eq!(generated, greedy[..generated.len()], "{name}");
        let ended = greedy
            .get(generated.len())
            .is_none_or(|next| model.causal().unwrap().end_tokens().contains(next));
        assert!(ended, "{name}: {} tokens", generated.len());
    }
}

#[test]
fn parts_of_a_split_file_are_one_model() {
    let expected = expected("llama-tied");
    let whole = logits(&*load(&Gguf::new(file("llama-tied"))), &expected, "logits");
    for part in 1..=3 {
        let model = load(&Gguf::new(file(&format!("split-0000{part}-of-00003"))));
        assert!(logits(&*model, &expected, "logits") == whole, "part {part}");
        assert_eq!(model.info().files.len(), 3);
    }
}

#[test]
fn weights_that_are_made_for_each_pass_are_the_same() {
    for name in ["llama-k", "llama-tied", "gpt2", "gemma3", "mistral"] {
        for dtype in [Precision::Float32, Precision::Bfloat16] {
            let expected = expected(name);
            let kept = load(&Gguf { dtype, ..Gguf::new(file(name)) });
            assert_eq!(kept.info().remade_bytes, 0);
            for weight_bytes in [Some(0), Some(50_000), Some(90_000)] {
                let model = load(&Gguf { dtype, weight_bytes, ..Gguf::new(file(name)) });
                let what = format!("{name} {dtype:?} {weight_bytes:?}");
                assert!(model.info().remade_bytes > 0, "{what}");
                assert_eq!(model.info().parameters, kept.info().parameters, "{what}");
                for _ in 0..2 {
                    let (one, other) =
                        (logits(&*model, &expected, "logits"), logits(&*kept, &expected, "logits"));
                    assert!(one.iter().zip(&other).all(|(a, b)| a.to_bits() == b.to_bits()), "{what}");
                }
            }
        }
    }
}

#[test]
fn weights_that_are_not_there_are_recorded_and_read_like_others() {
    let kept = record(load(&Gguf::new(file("llama-k"))));
    let mut remade = record(load(&Gguf { weight_bytes: Some(0), ..Gguf::new(file("llama-k")) }));
    for (one, other) in kept.graph.operations().iter().zip(remade.graph.operations()) {
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
    for (one, other) in kept.graph.tensors().iter().zip(remade.graph.tensors()) {
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
    let fingerprints = [&kept, &remade].map(|recorded| fingerprint(recorded.graph.as_ref()));
    assert_eq!(fingerprints[0], fingerprints[1]);
    let constants = remade.graph.tensors().iter().filter(|t| t.origin == Origin::Constant);
    assert_eq!(constants.count(), 0, "making weights is no operation of the pass");
    check_hidden_states("llama-k", &mut remade, &expected("llama-k"));
    let weights =
        [&kept, &remade].map(|recorded| LoadedWeights::of(&*recorded.model, recorded.graph.as_ref()));
    let mut compared = 0;
    for tensor in kept.graph.tensors().iter().filter(|tensor| tensor.origin == Origin::Parameter) {
        let [one, other] = weights.each_ref().map(|weights| weights.weight(tensor.id).unwrap().unwrap());
        assert!(one.view().f32().unwrap() == other.view().f32().unwrap(), "{:?}", tensor.name);
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
    let absent = remade.model.parameters().into_iter().filter(|(_, tensor)| tensor.dim() > 1);
    for (name, tensor) in absent {
        assert!(f32s(&tensor).iter().all(|value| value.is_nan()), "{name} is there between passes");
    }
}

#[test]
fn info_tells_how_weights_are_stored() {
    let model = load(&Gguf::new(file("llama-k")));
    let quantisation = model.info().quantisation.clone().unwrap();
    let types: Vec<&str> = quantisation.weights.keys().map(String::as_str).collect();
    assert_eq!(types, ["F32", "IQ4_XS", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]);
    assert_eq!(quantisation.weights.values().sum::<u64>(), model.info().parameters);
    assert!((3.0..6.0).contains(&quantisation.bits_per_weight), "{}", quantisation.bits_per_weight);
    assert_eq!(model.info().files.len(), 1);
    assert!(model.info().warnings.is_empty(), "{:?}", model.info().warnings);
    assert!(load(&Gguf::new(file("mistral"))).info().quantisation.is_none(), "F16 is not quantised");
}
