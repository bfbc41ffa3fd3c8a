//! Masks in every element type: padding of any kind leaves the numbers of real tokens as they are alone, and is itself finite.

use std::path::Path;

use fmrai_core::structure::AttentionForm;
use fmrai_core::tolerance::Tolerance;
use fmrai_models::{HfCheckpoint, Precision};
use fmrai_torch::Device;
use fmrai_torch::model::{LoadContext, Model, ModelSource, NamedTensors};
use tch::Tensor;

use crate::common::*;

const FORMS: [AttentionForm; 2] = [AttentionForm::Eager, AttentionForm::Fused];

/// Element types, and how far rounding takes a text in a batch from the same text alone.
const TYPES: [(Precision, f64); 3] =
    [(Precision::Float16, 0.03), (Precision::Bfloat16, 0.25), (Precision::Float32, 1e-4)];

/// Where the tokens of the second text stand in a row of 20.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Padding {
    Right,
    Left,
    Both,
}

/// A model whose attention scores are large: many lie below -16, where the lowest float16 plus a score overflows.
fn sharp(name: &str) -> Checkpoint {
    let checkpoint = Checkpoint::of(name);
    let mut changed = 0;
    checkpoint.weights(|weights| {
        let queries = |name: &str| {
            let ends =
                ["q_proj.weight", "q_norm.weight", "c_attn.weight", "query_key_value.weight", "q_lin.weight"];
            ends.iter().chain(&["query.weight"]).any(|end| name.ends_with(end))
        };
        for (_, weight) in weights.iter_mut().filter(|(name, _)| queries(name)) {
            let wide = weight.dtype == safetensors::Dtype::F32;
            let scaled: Vec<u8> = if wide {
                weight.values().iter().flat_map(|x| (x * 16.0).to_le_bytes()).collect()
            } else {
                // bfloat16 is the upper half of float32.
                let halves = weight.bytes.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]));
                halves.flat_map(|x| half::bf16::from_f32(x.to_f32() * 16.0).to_le_bytes()).collect()
            };
            weight.bytes = scaled;
            changed += 1;
        }
    });
    assert!(changed > 0, "{name} has queries");
    checkpoint
}

fn load_as(folder: &Path, attention: AttentionForm, dtype: Precision) -> Box<dyn Model> {
    let source = HfCheckpoint { attention, dtype, ..HfCheckpoint::new(folder) };
    source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap()
}

/// Rows of 20 positions with their masks and positions, of a text of 20 tokens and one of 3.
fn batch(padding: Padding) -> (NamedTensors, usize) {
    let long: Vec<i64> = (4..24).collect();
    let left: usize = match padding {
        Padding::Right => 0,
        Padding::Left => 17,
        Padding::Both => 9,
    };
    let (mut ids, mut mask, mut positions) = (vec![0; 20], vec![0; 20], vec![0; 20]);
    for (i, token) in [7, 9, 8].into_iter().enumerate() {
        (ids[left + i], mask[left + i], positions[left + i]) = (token, 1, i as i64);
    }
    let counted: Vec<i64> = (0..20).collect();
    let given = inputs(&[
        ("input_ids", &[&long, &ids]),
        ("attention_mask", &[&[1; 20], &mask]),
        ("position_ids", &[&counted, &positions]),
    ]);
    (given, left)
}

fn output(model: &dyn Model, given: &NamedTensors) -> Tensor {
    model.forward(given).unwrap().0.remove(0).1.tch()
}

/// The text of 3 tokens by itself.
fn alone(model: &dyn Model) -> Vec<f32> {
    f32s(&output(model, &inputs(&[("input_ids", &[&[7, 9, 8]]), ("attention_mask", &[&[1, 1, 1]])])))
}

/// In a batch the text gives what it gives alone; or, where rounding alone takes it farther than that from `exact`, the numbers of
/// float32, as kernels with and without a mask round scores of such size in places of their own, then numbers no farther from those.
#[track_caller]
fn check(what: &str, model: &dyn Model, padding: Padding, absolute: f64, exact: &[f32]) {
    let (given, left) = batch(padding);
    let all = output(model, &given);
    assert!(f32s(&all).iter().all(|x| x.is_finite()), "{what}: all positions are finite");
    let alone = alone(model);
    let row = f32s(&all.get(1).narrow(0, left as i64, 3));
    let far = |numbers: &[f32]| {
        let apart = numbers.iter().zip(exact).map(|(a, b)| f64::from((a - b).abs()));
        apart.fold(0.0, f64::max)
    };
    let [of_batch, of_alone] = [far(&row), far(&alone)];
    let found = Tolerance { absolute, relative: 0.0 }.check(&row, &alone);
    if of_alone <= absolute || of_batch > of_alone {
        found.unwrap_or_else(|e| panic!("{what}: {e}; {of_batch} from float32, alone {of_alone}"));
    }
}

#[test]
fn windows_of_padding_change_nothing_in_decoders() {
    for name in ["gemma2", "gemma3", "mistral", "qwen2", "qwen3", "llama", "gpt2", "gpt_neox"] {
        let checkpoint = sharp(name);
        for form in FORMS {
            let exact = alone(&*load_as(checkpoint.path(), form, Precision::Float32));
            for (dtype, absolute) in TYPES {
                let model = load_as(checkpoint.path(), form, dtype);
                for padding in [Padding::Right, Padding::Left, Padding::Both] {
                    let what = format!("{name} {form:?} {dtype:?} {padding:?}");
                    check(&what, &*model, padding, absolute, &exact);
                }
            }
        }
    }
}

#[test]
fn samples_of_nothing_but_padding_are_finite_in_encoders() {
    for name in ["bert", "roberta", "distilbert"] {
        let checkpoint = sharp(name);
        for form in FORMS {
            for (dtype, _) in TYPES {
                let model = load_as(checkpoint.path(), form, dtype);
                let given = inputs(&[
                    ("input_ids", &[&[2, 9, 3], &[0, 0, 0], &[2, 3, 1]]),
                    ("attention_mask", &[&[1, 1, 1], &[0, 0, 0], &[1, 1, 0]]),
                ]);
                for (output, tensor) in &model.forward(&given).unwrap().0 {
                    let finite = f32s(tensor).iter().all(|x| x.is_finite());
                    assert!(finite, "{name} {form:?} {dtype:?} {output}");
                }
            }
        }
    }
}

#[test]
fn a_row_without_any_token_is_finite_in_decoders() {
    for name in ["gemma2", "mistral", "gpt2"] {
        let checkpoint = sharp(name);
        for form in FORMS {
            for (dtype, _) in TYPES {
                let model = load_as(checkpoint.path(), form, dtype);
                let given = inputs(&[
                    ("input_ids", &[&[4, 9, 5], &[0, 0, 0]]),
                    ("attention_mask", &[&[1, 1, 1], &[0, 0, 0]]),
                ]);
                let finite = f32s(&output(&*model, &given)).iter().all(|x| x.is_finite());
                assert!(finite, "{name} {form:?} {dtype:?}");
            }
        }
    }
}
