//! Exported programs beside TorchScript: time of a pass, cost of an operation, peak memory.
//!
//! The models are made by `tests/reference/bench/make_programs.py`; `FMRAI_BENCH_PROGRAMS` names their folder.
//! `tiny` has so little to compute that the difference between the two forms is the cost of the interpreters.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails loudly and prints")]

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::Criterion;
use fmrai_core::graph::Graph;
use fmrai_core::tracker::{CaptureRequest, Tracker};
use fmrai_models::from_tch;
use fmrai_torch::Device;
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::model::{LoadContext, Model, NamedTensors, RegisteredModelSource};
use tch::{Kind, Tensor};

fn load(kind: &str, path: &Path) -> Box<dyn Model> {
    let source: Box<dyn RegisteredModelSource> =
        serde_json::from_value(serde_json::json!({ "type": kind, "path": path })).unwrap();
    source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap()
}

/// Token ids and mask, `[batch, token]`.
fn inputs(batch: i64, tokens: i64) -> NamedTensors {
    let ids =
        Tensor::arange(batch * tokens, (Kind::Int64, tch::Device::Cpu)).remainder(90).view([batch, tokens]);
    let mask = Tensor::ones_like(&ids);
    let named = [("input_ids", ids), ("attention_mask", mask)];
    NamedTensors(named.map(|(name, tensor)| (name.to_owned(), from_tch(&tensor))).into())
}

fn speed(criterion: &mut Criterion, folder: &Path) {
    let _no_grad = tch::no_grad_guard();
    tch::set_num_threads(1);
    for name in ["tiny", "minilm"] {
        let program = load("exported_program", &folder.join(name).with_extension("pt2"));
        let script = load("torchscript", &folder.join(name).with_extension("pt"));
        let inputs = if name == "tiny" { inputs(1, 2) } else { inputs(8, 64) };
        let nodes = program.graph().unwrap().unwrap().operations().len();
        println!("{name}: {nodes} operations");
        let mut group = criterion.benchmark_group(name);
        group.bench_function("torchscript", |b| b.iter(|| black_box(script.forward(&inputs).unwrap())));
        group.bench_function("exported_program", |b| b.iter(|| black_box(program.forward(&inputs).unwrap())));
        group.finish();
    }
}

/// Bytes of memory that this process has had at most.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// One process for each way of running, since a peak cannot be taken back.
fn memory(folder: &Path) {
    for way in ["torchscript", "exported_program", "watched", "requested"] {
        let program = std::env::current_exe().unwrap();
        let out = std::process::Command::new(program)
            .env("FMRAI_BENCH_WAY", way)
            .env("FMRAI_BENCH_PROGRAMS", folder)
            .output();
        let text = String::from_utf8(out.unwrap().stdout).unwrap();
        println!("peak memory, large, {way}: {}", text.trim());
    }
}

fn one_way(way: &str, folder: &Path) {
    let _no_grad = tch::no_grad_guard();
    tch::set_num_threads(1);
    let before = peak();
    let (kind, extension) =
        if way == "torchscript" { ("torchscript", "pt") } else { ("exported_program", "pt2") };
    let model = load(kind, &folder.join("large").with_extension(extension));
    let loaded = peak();
    let inputs = inputs(8, 64);
    let mut tracker = DispatchTracker::new().unwrap();
    match way {
        "watched" | "requested" => {
            let graph = tracker.discover(&mut || Ok(model.forward(&inputs).map(|_| ())?)).unwrap();
            let one = graph.operations().iter().rev().find_map(|o| o.outputs.first().copied());
            let request: CaptureRequest =
                if way == "requested" { one.into_iter().collect() } else { CaptureRequest::none() };
            for _ in 0..3 {
                black_box(tracker.track(&request, &mut || Ok(model.forward(&inputs).map(|_| ())?)).unwrap());
            }
        }
        _ => {
            for _ in 0..4 {
                black_box(model.forward(&inputs).unwrap());
            }
        }
    }
    let mib = |bytes: u64| bytes / (1 << 20);
    println!(
        "{} MiB at the start, {} MiB loaded, {} MiB after four passes",
        mib(before),
        mib(loaded),
        mib(peak())
    );
}

fn main() {
    let Some(folder) = std::env::var_os("FMRAI_BENCH_PROGRAMS").map(PathBuf::from) else {
        println!(
            "FMRAI_BENCH_PROGRAMS names no folder of tests/reference/bench/make_programs.py: nothing to measure"
        );
        return;
    };
    if let Ok(way) = std::env::var("FMRAI_BENCH_WAY") {
        return one_way(&way, &folder);
    }
    memory(&folder);
    let mut criterion = Criterion::default().configure_from_args();
    speed(&mut criterion, &folder);
    criterion.final_summary();
}
