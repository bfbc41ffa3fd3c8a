//! Checkpoints whose weights are quantised: against what transformers computes with the numbers that they stand for, and with
//! everything that can be wrong with them.

use std::collections::BTreeMap;
use std::path::Path;

use fmrai_core::structure::AttentionForm;
use fmrai_core::tensor::from_safetensors;
use fmrai_core::tolerance::Tolerance;
use fmrai_models::{HfCheckpoint, Precision};
use fmrai_torch::Device;
use fmrai_torch::model::{LoadContext, Model, ModelSource, NonFiniteWeight};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::*;

const INDEX: &str = "model.safetensors.index.json";

/// Logits of the reference texts at their tokens, of a model and expected.
fn logits(model: &dyn Model, name: &str) -> (Vec<f32>, Vec<f32>) {
    let expected = expected(name);
    let actual = f32s(model.forward(&batch(&expected)).unwrap().get("logits").unwrap());
    let mask = &expected["attention_mask"];
    (valid(&actual, mask), valid(expected["logits"].view().f32().unwrap(), mask))
}

fn check(model: &dyn Model, name: &str) {
    let (actual, expected) = logits(model, name);
    Tolerance::ACTIVATION.check(&actual, &expected).unwrap_or_else(|e| panic!("{name}: {e}"));
}

/// SHA-256 of the numbers of each quantised weight, as `expected.safetensors` has them.
fn hashes(name: &str) -> BTreeMap<String, String> {
    let bytes = std::fs::read(model_folder(name).join("expected.safetensors")).unwrap();
    serde_json::from_str(&from_safetensors(&bytes).unwrap().1["weights_sha256"]).unwrap()
}

/// A checkpoint whose weights were changed in one place.
fn with(name: &str, change: impl FnOnce(&mut BTreeMap<String, Stored>)) -> Checkpoint {
    let checkpoint = Checkpoint::of(name);
    checkpoint.weights(change);
    checkpoint
}

const QUERY: &str = "model.layers.0.self_attn.q_proj";

fn query(part: &str) -> String {
    format!("{QUERY}.{part}")
}

#[test]
fn logits_and_weights_are_those_of_the_dequantised_model() {
    for name in QUANTISED {
        let model = load(&model_folder(name));
        check(&*model, name);
        let (hashes, weights) = (hashes(name), model.parameters());
        for (weight, hash) in &hashes {
            let (_, tensor) = weights.iter().find(|(name, _)| name == weight).unwrap();
            let bytes: Vec<u8> = f32s(tensor).iter().flat_map(|x| x.to_le_bytes()).collect();
            let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(&found, hash, "{name}: {weight}");
        }
        assert_eq!(hashes.len(), if name == "gptq-gpt2" { 4 } else { 7 }, "{name}");
        assert_eq!(model.info().warnings, [""; 0], "{name}");
        assert_eq!(model.info().non_finite_weights, [], "{name}");
    }
}

#[test]
fn what_is_quantised_is_told() {
    let attention = |hidden: u64| hidden * hidden * 3;
    let forms = [
        ("awq", "AWQ 4-bit, groups of 64", "F16", attention(128) + 3 * 128 * 192),
        ("compressed-tensors", "FP8 E4M3", "BF16", attention(64) + 3 * 64 * 96),
        ("fbgemm_fp8", "FP8 E4M3", "BF16", attention(64) + 3 * 64 * 96),
        ("fp8", "FP8 E4M3", "BF16", attention(128) + 3 * 128 * 160),
        ("gptq", "GPTQ 4-bit, groups of 128", "F16", attention(128) + 3 * 128 * 160),
        ("gptq-8bit", "GPTQ 8-bit, one group", "F16", attention(32) + 3 * 32 * 64),
        ("gptq-gpt2", "GPTQ 2-bit, groups of 16", "F16", 12 * 32 * 32),
    ];
    for (name, form, plain, quantised) in forms {
        let model = load(&model_folder(name));
        let info = model.info();
        let found = info.quantisation.as_ref().unwrap();
        let expected = [(form, quantised), (plain, info.parameters - quantised)];
        let expected = expected.map(|(form, weights)| (form.to_owned(), weights));
        assert_eq!(found.weights, BTreeMap::from(expected), "{name}");
        let bytes = std::fs::read(model_folder(name).join("model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let used = file.iter().filter(|(name, _)| !info.unused_weights.iter().any(|unused| unused == name));
        let bits: usize = used.map(|(_, view)| view.data().len() * 8).sum();
        let bits = u32::try_from(bits).unwrap();
        let parameters = u32::try_from(info.parameters).unwrap();
        assert_eq!(found.bits_per_weight, f64::from(bits) / f64::from(parameters), "{name}");
    }
    // Scales of activations are used for nothing.
    let unused = |name: &str| load(&model_folder(name)).info().unused_weights.clone();
    let inputs = ["down", "gate", "up"].map(|part| format!("model.layers.0.mlp.{part}_proj.input_scale"));
    assert_eq!(unused("compressed-tensors"), inputs);
    assert_eq!(unused("fbgemm_fp8").len(), 7);
    // A config says nothing of weights that are stored as they are.
    let plain = Checkpoint::of("llama");
    plain.config("quantization_config", json!({ "quant_method": "gptq", "bits": 4 }));
    assert_eq!(load(plain.path()).info().quantisation, None);
}

#[test]
fn it_computes_in_16_bits_where_a_plan_says_so() {
    for (dtype, absolute) in [(Precision::Bfloat16, 0.1), (Precision::Float16, 0.0125)] {
        let source = HfCheckpoint { dtype, ..HfCheckpoint::new(model_folder("gptq")) };
        let model = source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap();
        assert_eq!(model.info().dtype, dtype.into());
        let (actual, expected) = logits(&*model, "gptq");
        Tolerance { absolute, relative: 0.02 }.check(&actual, &expected).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// Splits model.safetensors into as many shards, tensor by tensor.
fn shard(checkpoint: &Checkpoint, count: usize) {
    let bytes = std::fs::read(checkpoint.file("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<(String, TensorView<'_>)> =
        file.iter().map(|(name, view)| (name.to_owned(), view)).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut map = serde_json::Map::new();
    for shard in 0..count {
        let name = format!("model-{:05}-of-{count:05}.safetensors", shard + 1);
        let part: Vec<_> = tensors.iter().skip(shard).step_by(count).cloned().collect();
        map.extend(part.iter().map(|(tensor, _)| (tensor.clone(), Value::from(name.clone()))));
        checkpoint.write(&name, safetensors::serialize(part, None).unwrap());
    }
    checkpoint.remove("model.safetensors");
    checkpoint.write(INDEX, json!({ "weight_map": map }).to_string());
}

#[test]
fn the_parts_of_a_weight_may_lie_in_different_files() {
    for name in QUANTISED {
        let checkpoint = Checkpoint::of(name);
        shard(&checkpoint, 3);
        let model = load(checkpoint.path());
        assert_eq!(logits(&*model, name).0, logits(&*load(&model_folder(name)), name).0, "{name}");
        let info = model.info();
        let files: Vec<&str> = info.files.iter().map(|file| file.name.as_str()).collect();
        let shards = [1, 2, 3].map(|shard| format!("model-{shard:05}-of-00003.safetensors"));
        assert_eq!(files[1..], [&shards[0], &shards[1], &shards[2], INDEX], "{name}");
        for file in &info.files[1..] {
            let bytes = std::fs::read(checkpoint.file(&file.name)).unwrap();
            let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(file.sha256, hash, "{name}: {}", file.name);
        }
        assert_eq!(info.quantisation, load(&model_folder(name)).info().quantisation, "{name}");
    }
    let checkpoint = Checkpoint::of("gptq-8bit");
    shard(&checkpoint, 30);
    let absent = "model-00010-of-00030.safetensors";
    checkpoint.remove(absent);
    let part = serde_json::from_slice::<Value>(&std::fs::read(checkpoint.file(INDEX)).unwrap()).unwrap();
    let part =
        part["weight_map"].as_object().unwrap().iter().find(|(_, file)| **file == absent).unwrap().0.clone();
    assert!(part.ends_with(".qweight"), "{part}");
    assert_eq!(
        checkpoint.error(),
        format!(
            "./{INDEX}: `weight_map` places {part} in {absent}, which is not there: fetch the checkpoint again"
        )
    );
}

#[test]
fn names_are_read_without_what_wrappers_put_in_front() {
    for name in QUANTISED {
        let checkpoint = with(name, |weights| {
            *weights = std::mem::take(weights).into_iter().map(|(n, w)| (format!("module.{n}"), w)).collect();
        });
        let model = load(checkpoint.path());
        check(&*model, name);
        assert_eq!(model.info().warnings, ["the names of the weights are read without `module.`"], "{name}");
    }
}

#[test]
fn modules_may_have_bits_and_groups_of_their_own() {
    let checkpoint = Checkpoint::of("gptq-8bit");
    let change = |json: &mut Value| {
        let config = &mut json["quantization_config"];
        (config["bits"], config["group_size"]) = (json!(4), json!(128));
        config["dynamic"] = json!({ "+:.*": { "bits": 8, "group_size": -1 }, "-:lm_head": {} });
    };
    let model = load(checkpoint.json("config.json", change).path());
    check(&*model, "gptq-8bit");
    let forms = &model.info().quantisation.as_ref().unwrap().weights;
    let forms: Vec<&str> = forms.keys().map(String::as_str).collect();
    assert_eq!(forms, ["F16", "GPTQ 8-bit, groups of 32", "GPTQ 8-bit, groups of 64"]);
}

#[test]
fn biases_of_zeros_that_the_model_does_not_have_are_left_out() {
    let bias = |values: [u8; 256]| {
        with("gptq", |weights| {
            let bias = Stored { dtype: Dtype::F16, shape: vec![128], bytes: values.to_vec() };
            weights.insert(query("bias"), bias);
        })
    };
    let mut negative = [0; 256];
    negative[9] = 0x80;
    for zeros in [[0; 256], negative] {
        let model = load(bias(zeros).path());
        check(&*model, "gptq");
        assert_eq!(model.info().unused_weights, [query("bias")]);
    }
    assert_eq!(
        bias([1; 256]).error(),
        format!(
            ".: {QUERY}.bias is not zero, and the model has no such bias: the quantised weights are those of another model"
        )
    );
    let other = with("awq", |weights| {
        weights.insert("model.layers.0.mlp.up_proj.bias".to_owned(), Stored::f32(&[192], &[0.0; 192]));
    });
    assert_eq!(
        other.error(),
        ".: the weights do not fit a qwen2 model: unknown model.layers.0.mlp.up_proj.bias"
    );
}

#[test]
fn numbers_that_are_not_finite_are_told_of_the_weight() {
    let name = query("weight");
    let checkpoint = with("fp8", |weights| weights.get_mut(&name).unwrap().bytes[..3].fill(0x7f));
    assert_eq!(
        load(checkpoint.path()).info().non_finite_weights,
        [NonFiniteWeight { name, nan: 3, infinite: 0 }]
    );
    let checkpoint = with("gptq", |weights| {
        weights.get_mut(&query("scales")).unwrap().bytes[..2].copy_from_slice(&[0, 0x7c]);
    });
    let model = load(checkpoint.path());
    let found = &model.info().non_finite_weights[0];
    assert_eq!((found.name.as_str(), found.nan + found.infinite), (query("weight").as_str(), 128));
}

/// Sets a part of the query projection.
fn set(part: &'static str, dtype: Dtype, shape: &'static [usize]) -> impl Fn(&mut BTreeMap<String, Stored>) {
    move |weights| {
        let bytes = vec![0; shape.iter().product::<usize>() * dtype.bitsize() / 8];
        weights.insert(query(part), Stored { dtype, shape: shape.to_vec(), bytes });
    }
}

fn without(part: &'static str) -> impl Fn(&mut BTreeMap<String, Stored>) {
    move |weights| drop(weights.remove(&query(part)))
}

/// Name, change of the weights, message.
type Case<'c> = (&'c str, Box<dyn Fn(&mut BTreeMap<String, Stored>)>, &'c str);

#[test]
fn parts_that_contradict_each_other_are_named() {
    let gptq = "beside qweight [16, 128], 4 bits and groups of 128";
    let cases: Vec<Case<'_>> = vec![
        (
            "gptq",
            Box::new(without("scales")),
            "no {q}.scales, which has to be there beside {q}.qweight, {q}.qzeros, {q}.g_idx",
        ),
        (
            "awq",
            Box::new(without("qzeros")),
            "no {q}.qzeros, which has to be there beside {q}.qweight, {q}.scales",
        ),
        (
            "fp8",
            Box::new(without("weight_scale_inv")),
            "no {q}.weight_scale_inv, which has to be there beside {q}.weight",
        ),
        (
            "gptq",
            Box::new(set("qweight", Dtype::I64, &[16, 128])),
            "{q}.qweight has elements of type I64, needed is I32",
        ),
        (
            "gptq",
            Box::new(set("scales", Dtype::I32, &[1, 128])),
            "{q}.scales has elements of type I32, needed is F32, F16, BF16",
        ),
        (
            "gptq",
            Box::new(set("qweight", Dtype::I32, &[16, 0])),
            "{q}.qweight: found [16, 0], two sizes of at least 1 are needed",
        ),
        (
            "gptq",
            Box::new(set("qzeros", Dtype::I32, &[16])),
            "{q}.qzeros: found [16], two sizes of at least 1 are needed",
        ),
        (
            "gptq",
            Box::new(set("scales", Dtype::F16, &[2, 128])),
            "{q}.scales: found [2, 128], needed [1, 128] {gptq}",
        ),
        (
            "gptq",
            Box::new(set("qzeros", Dtype::I32, &[1, 8])),
            "{q}.qzeros: found [1, 8], needed [1, 16] {gptq}",
        ),
        ("gptq", Box::new(set("g_idx", Dtype::I32, &[64])), "{q}.g_idx: found [64], needed [128] {gptq}"),
        (
            "gptq",
            Box::new(|weights| weights.get_mut(&query("g_idx")).unwrap().bytes[8] = 1),
            "{q}.g_idx: input 2 is of group 1, groups from 0 to 0 are needed",
        ),
        (
            "gptq",
            Box::new(|weights| weights.get_mut(&query("g_idx")).unwrap().bytes[3] = 0x80),
            "{q}.g_idx: input 0 is of group -2147483648, groups from 0 to 0 are needed",
        ),
        (
            "gptq",
            Box::new(set("qweight", Dtype::I32, &[16, 100])),
            "{q}.qzeros: found [1, 16], which are no zeros of 2, 4 or 8 bits for the 100 outputs of qweight [16, 100]",
        ),
        (
            "awq",
            Box::new(set("scales", Dtype::F16, &[2, 64])),
            "{q}.scales: found [2, 64], needed [2, 128] beside qweight [128, 16] and groups of 64",
        ),
        (
            "awq",
            Box::new(set("qzeros", Dtype::I32, &[1, 16])),
            "{q}.qzeros: found [1, 16], needed [2, 16] beside qweight [128, 16] and groups of 64",
        ),
        (
            "fp8",
            Box::new(set("weight_scale_inv", Dtype::F32, &[2, 1])),
            "{q}.weight_scale_inv: found [2, 1], needed [1, 1] beside a weight of [128, 128]",
        ),
        (
            "fbgemm_fp8",
            Box::new(set("weight_scale", Dtype::F32, &[63, 1])),
            "{q}.weight_scale: found [63, 1], needed [64, 1] or [1, 1] beside a weight of [64, 64]",
        ),
        (
            "fp8",
            Box::new(set("weight", Dtype::F8_E4M3, &[128])),
            "{q}.weight: found [128], two sizes of at least 1 are needed",
        ),
    ];
    for (name, change, message) in cases {
        let message = message.replace("{q}", QUERY).replace("{gptq}", gptq);
        assert_eq!(with(name, change).error(), format!(".: {message}"));
    }
}

#[test]
fn weights_that_do_not_fit_the_model_are_named() {
    let unfit = |name: &str, change: &dyn Fn(&mut BTreeMap<String, Stored>)| with(name, change).error();
    // All parts agree on another number of inputs.
    let wide = |weights: &mut BTreeMap<String, Stored>| {
        set("qweight", Dtype::I32, &[32, 128])(weights);
        set("scales", Dtype::F16, &[2, 128])(weights);
        set("qzeros", Dtype::I32, &[2, 16])(weights);
        set("g_idx", Dtype::I32, &[256])(weights);
    };
    assert_eq!(
        unfit("gptq", &wide),
        format!(
            ".: the weights do not fit a llama model: of another shape {QUERY}.weight: found [128, 256], needed [128, 128]"
        )
    );
    assert_eq!(
        unfit("gptq", &set("weight", Dtype::F16, &[128, 128])),
        format!(
            ".: two weights mean the same: {QUERY}.weight in model.safetensors and {QUERY}.qweight in model.safetensors"
        )
    );
    assert_eq!(
        unfit("gptq", &without("qweight")),
        format!(".: the weights do not fit a llama model: missing {QUERY}.weight; unknown {QUERY}.scales")
    );
    assert_eq!(
        unfit("fp8", &set("weight", Dtype::BF16, &[128, 128])),
        format!(".: the weights do not fit a qwen3 model: unknown {QUERY}.weight_scale_inv")
    );
    assert_eq!(
        unfit("fp8", &set("weight", Dtype::F8_E5M2, &[128, 128])),
        format!(".: the weights do not fit a qwen3 model: unknown {QUERY}.weight_scale_inv")
    );
    let scaled = |weights: &mut BTreeMap<String, Stored>| {
        weights.insert("model.layers.0.mlp.act.scales".to_owned(), Stored::f32(&[192], &[1.0; 192]));
    };
    assert_eq!(
        unfit("awq", &scaled),
        ".: the weights do not fit a qwen2 model: unknown model.layers.0.mlp.act.scales; the model scales activations to make \
         up for what its weights were multiplied by, which is not supported: use the checkpoint that it was made of"
    );
}

#[test]
fn a_config_that_says_nothing_of_it_is_told() {
    for name in QUANTISED {
        let checkpoint = Checkpoint::of(name);
        let forget = |json: &mut Value| drop(json.as_object_mut().unwrap().remove("quantization_config"));
        let error = checkpoint.json("config.json", forget).error();
        let end = "; they are quantised, and config.json has no `quantization_config` that says how: use the checkpoint that \
                   they were made of";
        assert!(error.ends_with(end), "{name}: {error}");
    }
}

#[test]
fn the_layout_of_gpt2_is_read_as_gptq_alone() {
    let checkpoint = with("gptq-gpt2", |weights| {
        for (name, weight) in std::mem::take(weights) {
            let fp8 = name.ends_with("c_attn.qweight");
            let weight = if fp8 {
                Stored { dtype: Dtype::F8_E4M3, shape: vec![32, 96], bytes: vec![0; 32 * 96] }
            } else {
                weight
            };
            weights.insert(if fp8 { name.replace("qweight", "weight") } else { name }, weight);
        }
    });
    checkpoint.config("quantization_config", json!({ "quant_method": "fp8" }));
    assert_eq!(
        checkpoint.error(),
        ".: transformer.h.0.attn.c_attn.weight lies as [in, out], as the Conv1D of GPT-2 does, which of the quantised forms is \
         read as GPTQ alone: use the checkpoint that it was made of"
    );
}

#[test]
fn any_shape_and_type_of_a_part_is_an_error_or_a_model() {
    let shapes: [&[usize]; 10] =
        [&[], &[0], &[1], &[128], &[1, 1], &[0, 128], &[128, 0], &[1, 128], &[128, 1], &[7, 11, 13]];
    let mut loaded = 0;
    for name in QUANTISED.into_iter().filter(|name| !name.contains("gpt2")) {
        let parts: Vec<String> = {
            let bytes = std::fs::read(model_folder(name).join("model.safetensors")).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let counts = |part: &&str| part.starts_with(QUERY) && !part.contains("input_scale");
            file.names().into_iter().filter(counts).map(str::to_owned).collect()
        };
        for part in parts {
            for shape in shapes {
                for dtype in [Dtype::I32, Dtype::F16, Dtype::F8_E4M3, Dtype::F8_E8M0, Dtype::BOOL] {
                    let bytes = vec![0xff; shape.iter().product::<usize>() * dtype.bitsize() / 8];
                    let stored = Stored { dtype, shape: shape.to_vec(), bytes };
                    let checkpoint = with(name, |weights| drop(weights.insert(part.clone(), stored)));
                    match try_load(checkpoint.path(), AttentionForm::Fused) {
                        Ok(_) => loaded += 1,
                        Err(error) => {
                            let error = error.to_string();
                            assert!(error.contains(QUERY), "{name}: {part} {dtype} {shape:?}: {error}");
                        }
                    }
                }
            }
        }
    }
    assert!(loaded < 30, "{loaded} of these loaded");
}
