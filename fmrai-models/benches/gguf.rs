//! A quantised GGUF file beside a folder with the same weights in float32: time to load, time of a pass, and the most memory of each.
//!
//! `cargo xtask setup --decoder`, then `cargo bench -p fmrai-models --bench gguf`. Each measurement is a process of its own; the two take turns, and
//! medians are compared. The folder is made from the file, in `target/tmp`.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark talks to a terminal, and ends where it cannot go on"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use fmrai_models::{Gguf, HfCheckpoint, from_tch};
use fmrai_torch::Device;
use fmrai_torch::model::{LoadContext, ModelSource, NamedTensors};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;
use tch::{Kind, Tensor};

const ROUNDS: usize = 7;
const TOKENS: i64 = 100;

fn main() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../.fmrai/models/gemma-3-270m/gemma-3-270m-q4_k_m.gguf");
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    if let Some(what) = args.next() {
        let source: Box<dyn ModelSource> = match what.as_str() {
            "gguf" => Box::new(Gguf::new(file)),
            "half" => Box::new(Gguf { weight_bytes: Some(900_000_000), ..Gguf::new(file) }),
            "least" => Box::new(Gguf { weight_bytes: Some(0), ..Gguf::new(file) }),
            folder => Box::new(HfCheckpoint::new(folder)),
        };
        return measure(&*source);
    }
    if !file.is_file() {
        println!("{} is not there: `cargo xtask setup --decoder` fetches it", file.display());
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gemma-float32");
    write(&file, &folder);
    let folder = folder.display().to_string();
    let cases = [
        ("folder, float32", folder.as_str()),
        ("GGUF", "gguf"),
        ("GGUF, 0.9 GB of weights", "half"),
        ("GGUF, least memory", "least"),
    ];
    let mut all: BTreeMap<&str, Vec<[f64; 3]>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (name, what) in cases {
            let program = std::env::current_exe().expect("this program");
            let output = Command::new(program).arg(what).output().expect("this program once more");
            let text = String::from_utf8_lossy(&output.stdout);
            let numbers: Vec<f64> =
                text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            all.entry(name).or_default().push(<[f64; 3]>::try_from(numbers).expect("three numbers"));
        }
    }
    let median = |name: &str, which: usize| {
        let mut numbers: Vec<f64> = all[name].iter().map(|numbers| numbers[which]).collect();
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    };
    println!("{ROUNDS} rounds, medians; a pass of {TOKENS} tokens");
    let first = cases[0].0;
    for (name, _) in cases {
        let [load, pass, memory] =
            [0, 1, 2].map(|which| (median(name, which), median(name, which) / median(first, which)));
        println!(
            "{name:26} load {:6.2} s ({:.2}x)   pass {:6.3} s ({:.2}x)   most memory {:6.0} MiB ({:.2}x)",
            load.0, load.1, pass.0, pass.1, memory.0, memory.1
        );
    }
}

/// Prints seconds to load, seconds of a pass (the second one), and the most memory in MiB.
fn measure(source: &dyn ModelSource) {
    let _no_grad = tch::no_grad_guard();
    let start = Instant::now();
    let model = source.load(&LoadContext::new(Path::new("."), Device::Cpu)).expect("a model");
    let load = start.elapsed().as_secs_f64();
    let ids = Tensor::arange(TOKENS, (Kind::Int64, tch::Device::Cpu)).unsqueeze(0) + 1000;
    let inputs = [("input_ids", &ids), ("attention_mask", &ids.ones_like())];
    let inputs = NamedTensors(inputs.map(|(name, tensor)| (name.to_owned(), from_tch(tensor))).into());
    let mut pass = 0.0;
    for _ in 0..2 {
        let start = Instant::now();
        model.forward(&inputs).expect("logits");
        pass = start.elapsed().as_secs_f64();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kibibytes: f64 = most.trim().trim_end_matches(" kB").parse().unwrap_or(f64::NAN);
    println!("{load} {pass} {}", kibibytes / 1024.0);
}

/// Writes the weights of the file as a checkpoint.
fn write(file: &Path, folder: &PathBuf) {
    std::fs::create_dir_all(folder).expect("a folder");
    let model = Gguf::new(file).load(&LoadContext::new(Path::new("."), Device::Cpu)).expect("a model");
    let config = json!({
        "model_type": "gemma3_text", "vocab_size": 262_144, "hidden_size": 640, "num_hidden_layers": 18, "num_attention_heads": 4,
        "num_key_value_heads": 1, "head_dim": 256, "intermediate_size": 2048, "max_position_embeddings": 32_768, "sliding_window": 512,
        "query_pre_attn_scalar": 256,
    });
    std::fs::write(folder.join("config.json"), config.to_string()).expect("a config");
    let weights: Vec<(String, Vec<usize>, Vec<u8>)> = model
        .parameters()
        .into_iter()
        .filter(|(name, _)| !name.contains("inv_freq"))
        .map(|(name, tensor)| (name, tensor.shape(), tensor.to_bytes().expect("its elements")))
        .collect();
    let views = weights.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a weight"))
    });
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors")).expect("weights");
}
