//! A checkpoint of more weights than it may keep takes little more memory than that. Alone in its program: memory is the process's.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../examples/random_checkpoint/writing.rs"]
mod writing;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fmrai_models::{HfCheckpoint, Precision};
use fmrai_torch::model::{LoadContext, ModelSource, NamedTensors};
use fmrai_torch::{Device, give_back_freed_pages};
use serde_json::json;

/// Anonymous memory of this process in bytes.
fn anonymous() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Most anonymous memory while `work` runs, beyond that before it.
fn grown<T>(work: impl FnOnce() -> T) -> (T, u64) {
    // What an earlier measurement has left free would count for this one.
    give_back_freed_pages();
    let before = anonymous();
    let (most, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(anonymous(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    });
    (result, most.into_inner().saturating_sub(before))
}

fn load_and_run(folder: &Path, weight_bytes: u64) -> Vec<f32> {
    let source = HfCheckpoint {
        dtype: Precision::Bfloat16,
        weight_bytes: Some(weight_bytes),
        ..HfCheckpoint::new(folder)
    };
    let model = source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap();
    let tensor = |values: &[i64]| fmrai_torch::Tensor::from_slice(values).unwrap().reshape(&[1, 8]).unwrap();
    let inputs = NamedTensors(vec![
        ("input_ids".to_owned(), tensor(&[1, 2, 3, 4, 5, 6, 7, 8])),
        ("attention_mask".to_owned(), tensor(&[1; 8])),
    ]);
    let _no_grad = tch::no_grad_guard();
    let logits = model.forward(&inputs).unwrap().0.remove(0).1;
    logits.to_dtype(fmrai_core::tensor::DType::Float32).unwrap().to_vec().unwrap()
}

fn decoder(layers: u64) -> serde_json::Value {
    json!({
        "model_type": "llama", "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": layers,
        "num_attention_heads": 16, "num_key_value_heads": 16, "vocab_size": 4096, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6, "tie_word_embeddings": false,
    })
}

#[test]
fn weights_that_do_not_fit_take_no_memory() {
    const MEGABYTE: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let [small, large] = ["small", "large"].map(|name| folder.path().join(name));
    // What libtorch sets up for its first pass is not the model's.
    writing::write(&decoder(1), &small, 1 << 30, 1).unwrap();
    let _ = load_and_run(&small, 0);
    let bytes = 2 * writing::write(&decoder(23), &large, 200 * MEGABYTE, 2).unwrap();
    assert!(bytes > 600 * MEGABYTE, "{bytes}");
    let (none, least) = grown(|| load_and_run(&large, 0));
    let (few, taken) = grown(|| load_and_run(&large, 100 * MEGABYTE));
    let (all, most) = grown(|| load_and_run(&large, u64::MAX));
    assert!(few == all && none == all && all.iter().all(|logit| logit.is_finite()));
    println!(
        "{bytes} bytes of weights; memory taken: {most} with all kept, {taken} with 100 MB, {least} with none"
    );
    assert!(most > bytes, "{most} bytes for {bytes} of weights: the measure is wrong");
    assert!(taken < 130 * MEGABYTE, "{taken} bytes where 100 MB are allowed");
    assert!(least < 60 * MEGABYTE, "{least} bytes where one layer of 26 MB is there at a time");
}
