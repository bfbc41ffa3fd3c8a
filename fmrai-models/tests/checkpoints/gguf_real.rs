//! The decoder of the second demo against transformers, which reads the same file. It is not part of the project: `cargo xtask demo decoder`
//! fetches it, and `tests/reference/gguf/gemma.py` computes what is expected.
//!
//! `FMRAI_GEMMA=FOLDER cargo nextest run --workspace --test checkpoints --run-ignored only -E 'test(gguf_real)'` with the folder that the script
//! writes to, in which the file is too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::structure::AttentionForm;
use fmrai_core::tensor::{TensorValue, from_safetensors};
use fmrai_core::tracker::{CaptureRequest, Tracker};
use fmrai_models::Gguf;
use fmrai_torch::Device;
use fmrai_torch::generate::{GenerateConfig, generate};
use fmrai_torch::model::{LoadContext, Model, ModelSource};
use serde_json::Value;

use crate::common::*;
use crate::recorded::{Recorded, hidden_states, record};

/// Of the largest value.
const TOLERANCE: f32 = 1e-4;

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("FMRAI_GEMMA").expect("FMRAI_GEMMA names the folder of the file"))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap()
}

fn load(attention: AttentionForm) -> Box<dyn Model> {
    let source = Gguf { attention, ..Gguf::new(folder().join("gemma-3-270m-q4_k_m.gguf")) };
    source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap()
}

fn ids(list: &Value) -> Vec<u32> {
    list.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

/// The largest difference, and the largest value of what is expected.
fn difference(found: &[f32], expected: &[f32]) -> (f32, f32) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    (found.iter().zip(expected).fold(0.0f32, |most, (a, b)| most.max((a - b).abs())), largest)
}

#[test]
#[ignore = "needs the model of the second demo"]
fn tokens_logits_hidden_states_and_texts_are_those_of_transformers() {
    let about = json("expected.json");
    let bytes = std::fs::read(folder().join("expected.safetensors")).unwrap();
    let expected: BTreeMap<String, TensorValue> = from_safetensors(&bytes).unwrap().0.into_iter().collect();
    for attention in [AttentionForm::Fused, AttentionForm::Eager] {
        let mut recorded = record(load(attention));
        let states = hidden_states(&recorded, 18);
        let (mut worst_logit, mut worst_state) = (0.0f32, 0.0f32);
        for (number, prompt) in about["prompts"].as_array().unwrap().iter().enumerate() {
            let Recorded { model, tracker, .. } = &mut recorded;
            let tokenizer = model.tokenizer().unwrap();
            let tokens = tokenizer.encode(prompt.as_str().unwrap(), None).unwrap().token_ids;
            assert_eq!(tokens, ids(&about["ids"][number]), "{prompt}");
            let row: Vec<i64> = tokens.iter().copied().map(i64::from).collect();
            let ones = vec![1; row.len()];
            let batch = inputs(&[("input_ids", &[&row]), ("attention_mask", &[&ones])]);
            let _no_grad = tch::no_grad_guard();
            let mut output = None;
            let request: CaptureRequest = states.iter().copied().collect();
            let kept = tracker
                .track(&request, &mut || {
                    output = Some(model.forward(&batch)?);
                    Ok(())
                })
                .unwrap();
            let logits = f32s(output.unwrap().get("logits").unwrap());
            let reference = |name: String| expected[&format!("{number}.{name}")].view();
            let (off, largest) = difference(&logits, reference("logits".to_owned()).f32().unwrap());
            worst_logit = worst_logit.max(off / largest);
            for (state, id) in states.iter().enumerate() {
                let found = kept.tensor(*id).unwrap().unwrap();
                let wanted = reference(format!("hidden_states.{state}"));
                let (off, largest) = difference(found.f32().unwrap(), wanted.f32().unwrap());
                worst_state = worst_state.max(off / largest);
            }
            let config = GenerateConfig { max_new_tokens: 40, ..GenerateConfig::default() };
            let generated = generate(model.causal().unwrap(), &tokens, &config, &mut |_| ()).unwrap().tokens;
            let greedy = reference("greedy".to_owned());
            let greedy: Vec<u32> =
                greedy.i64().unwrap().iter().map(|id| u32::try_from(*id).unwrap()).collect();
            assert_eq!(generated, greedy, "{prompt}");
        }
        println!(
            "{attention:?}: of the largest value, logits {worst_logit:e}, hidden states {worst_state:e}"
        );
        assert!(worst_logit < TOLERANCE && worst_state < TOLERANCE, "{worst_logit:e} {worst_state:e}");
    }
}

#[test]
#[ignore = "needs the model of the second demo"]
fn tokens_of_thousands_of_lines_are_those_of_transformers() {
    let lines = json("lines.json");
    let model = load(AttentionForm::Fused);
    let tokenizer = model.tokenizer().unwrap();
    let all = lines["lines"].as_array().unwrap();
    let wrong: Vec<&Value> = all
        .iter()
        .zip(lines["ids"].as_array().unwrap())
        .filter(|(line, expected)| {
            tokenizer.encode(line.as_str().unwrap(), None).unwrap().token_ids != ids(expected)
        })
        .map(|(line, _)| line)
        .collect();
    println!("{} of {} lines differ", wrong.len(), all.len());
    assert!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), all.len(), &wrong[..wrong.len().min(20)]);
}
