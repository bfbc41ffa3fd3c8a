//! What it costs to watch exported programs: the graph alone, and every activation kept, as medians of ratios to the bare pass of the same round.
//! The bytes that passes take are those of libtorch's tensors at their most.
//!
//! The models are made by `tests/reference/bench/make_programs.py`; `FMRAI_BENCH_PROGRAMS` names their folder. Run with
//! `cargo bench -p fmrai-models --bench keeping`, and `tests/reference/bench/bench_keeping.py FOLDER` beside it, which keeps references of every
//! result from Python on the same programs.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails loudly and prints")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fmrai_core::graph::Graph;
use fmrai_core::tracker::{CaptureRequest, Tracker};
use fmrai_models::from_tch;
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::model::{LoadContext, Model, NamedTensors, RegisteredModelSource};
use fmrai_torch::{Device, MemoryMeter, keep_freed_pages, no_grad, set_threads};
use tch::{Kind, Tensor};

const ROUNDS: usize = 9;

fn text(batch: i64, tokens: i64) -> NamedTensors {
    let ids =
        Tensor::arange(batch * tokens, (Kind::Int64, tch::Device::Cpu)).remainder(90).view([batch, tokens]);
    let mask = ids.ones_like();
    named([("input_ids", ids), ("attention_mask", mask)])
}

fn pixels() -> NamedTensors {
    named([("pixel_values", Tensor::randn([8, 3, 224, 224], (Kind::Float, tch::Device::Cpu)))])
}

fn named<const N: usize>(tensors: [(&str, Tensor); N]) -> NamedTensors {
    NamedTensors(tensors.map(|(name, tensor)| (name.to_owned(), from_tch(&tensor))).into())
}

fn load(path: &Path) -> Box<dyn Model> {
    let source: Box<dyn RegisteredModelSource> =
        serde_json::from_value(serde_json::json!({ "type": "exported_program", "path": path })).unwrap();
    source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn measure(title: &str, model: &dyn Model, inputs: &NamedTensors) {
    let mut tracker = DispatchTracker::new().unwrap();
    let mut pass = || Ok(model.forward(inputs).map(|_| ())?);
    let graph = tracker.discover(&mut pass).unwrap();
    // Everything the pass computes; weights are there anyway.
    let outputs = graph.operations().iter().flat_map(|operation| &operation.outputs).copied();
    let everything: CaptureRequest =
        outputs.filter(|id| graph.tensor(*id).is_some_and(|tensor| !tensor.on_request)).collect();
    let nothing = CaptureRequest::none();
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut bytes = [0; 3];
    for round in 0..=ROUNDS {
        for way in 0..3 {
            let meter = MemoryMeter::begin().unwrap();
            let begin = Instant::now();
            match way {
                0 => drop(black_box(model.forward(inputs).unwrap())),
                1 => drop(black_box(tracker.track(&nothing, &mut pass).unwrap())),
                _ => drop(black_box(tracker.track(&everything, &mut pass).unwrap())),
            }
            let time = begin.elapsed().as_secs_f64();
            bytes[way] = meter.peak();
            if round > 0 {
                times[way].push(time);
            }
        }
    }
    let ratio =
        |way: usize| median(times[way].iter().zip(&times[0]).map(|(time, bare)| time / bare).collect());
    let [bare, _, kept] = bytes.map(|bytes| bytes / 1_000_000);
    println!(
        "{title}: bare {:.1} ms, graph {:.2}, everything kept {:.2}; tensors {bare} MB bare, {kept} MB kept",
        1e3 * median(times[0].clone()),
        ratio(1),
        ratio(2)
    );
}

fn main() {
    let Some(folder) = std::env::var_os("FMRAI_BENCH_PROGRAMS").map(PathBuf::from) else {
        println!(
            "FMRAI_BENCH_PROGRAMS names no folder of tests/reference/bench/make_programs.py: nothing to measure"
        );
        return;
    };
    set_threads(2).unwrap();
    keep_freed_pages();
    let _no_grad = no_grad();
    let program = |name: &str| load(&folder.join(name).with_extension("pt2"));
    let gpt2 = program("gpt2");
    measure("GPT-2 12x768, 1x16", gpt2.as_ref(), &text(1, 16));
    measure("GPT-2 12x768, 8x128", gpt2.as_ref(), &text(8, 128));
    drop(gpt2);
    measure("MiniLM 6x384, 8x128", program("minilm").as_ref(), &text(8, 128));
    measure("ResNet-18, 8x3x224x224", program("resnet").as_ref(), &pixels());
}
