//! What a whole plan costs beside the bare passes of its model: the heads' patterns and groups and the key-value memories, in one run.
//!
//! `cargo xtask setup`, then `cargo bench -p fmrai-host --bench plan` for MiniLM; `FMRAI_BENCH_DECODER` names a folder with a decoder, such as
//! `tests/reference/bench/make_decoder.py` makes. Aim: `passes` at most 1.3 times bare for MiniLM, 1.2 for a decoder of 12 layers and 768 channels.
//!
//! Medians of ratios to the bare passes of the same round. `passes` is all from the first batch to the last; `all` is the run with its
//! beginning (the graph, the comparison with the untouched model) and its conclusions (tables, tensors, figures, the map of values to tokens), of which
//! nothing is written. `FMRAI_BENCH_ONLY` names one of `patterns`, `groups` and `memories`, `FMRAI_BENCH_TIMES` another number of texts. The texts are those of `examples/texts/prose.txt`, as often as is said, each time with their words in another order.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails loudly and prints")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fmrai_core::analyzer::RegisteredConfig;
use fmrai_host::events::{Event, Observer};
use fmrai_host::run::Run;
use fmrai_models as _;
use fmrai_plugins as _;
use fmrai_torch::data::{DataContext, InputBatch, RegisteredDataSource};
use fmrai_torch::model::{LoadContext, Model, RegisteredModelSource};
use fmrai_torch::{Device, keep_freed_pages, no_grad, set_threads};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde_json::json;

const ROUNDS: usize = 5;
const THREADS: usize = 2;

fn model(folder: &Path) -> Box<dyn Model> {
    let source = json!({ "type": "hf_checkpoint", "path": folder });
    let source: Box<dyn RegisteredModelSource> = serde_json::from_value(source).unwrap();
    source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap()
}

fn data(texts: &Path) -> Box<dyn RegisteredDataSource> {
    serde_json::from_value(json!({ "type": "text", "path": texts, "batch_size": 8, "max_tokens": 64 }))
        .unwrap()
}

/// All texts so many times, but for the first time with their words in another order.
fn texts(times: usize) -> String {
    let texts = include_str!("../../examples/texts/prose.txt");
    let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
    let mut all = texts.to_owned();
    for text in (1..times).flat_map(|_| texts.lines()) {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        for last in (1..words.len()).rev() {
            words.swap(last, usize::try_from(random.next_u64() % (last as u64 + 1)).unwrap());
        }
        writeln!(all, "{}", words.join(" ")).unwrap();
    }
    all
}

/// The bare passes, and when those of the run could begin and were over. All are made on the thread of the run: libtorch computes with other threads for each,
/// and gives way more often where it has more of them than there are cores.
struct Passes {
    model: Box<dyn Model>,
    batches: Vec<InputBatch>,
    times: Arc<Mutex<Times>>,
}

#[derive(Default)]
struct Times {
    bare: Duration,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Observer for Passes {
    fn observe(&self, event: &Event) {
        let mut times = self.times.lock().unwrap();
        match event {
            Event::Started { .. } => {
                let start = Instant::now();
                let _no_gradients = no_grad();
                for batch in &self.batches {
                    self.model.forward(&batch.inputs).unwrap();
                }
                times.bare = start.elapsed();
                times.first = Some(Instant::now());
            }
            Event::Batch { .. } => times.last = Some(Instant::now()),
            _ => {}
        }
    }
}

/// The batches as the run has them.
fn batches(model: &dyn Model, texts: &Path) -> Vec<InputBatch> {
    let (inputs, max_tokens) = (model.inputs(), model.info().max_tokens);
    let context =
        DataContext { base: Path::new("."), tokenizer: model.tokenizer(), max_tokens, inputs: &inputs };
    let source = data(texts);
    let mut open = source.open(&context).unwrap();
    std::iter::from_fn(|| open.next_batch().unwrap()).collect()
}

fn measure(name: &str, folder: &Path, tied: bool, times: usize) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("texts");
    std::fs::write(&path, texts(times)).unwrap();
    let configs = || {
        let configs = [
            json!({ "type": "attention_patterns" }),
            json!({ "type": "attention_clustering", "clusters": 4 }),
            json!({ "type": "ffn_key_value", "special_tokens": false, "tied_embedding": tied }),
        ];
        configs.map(|config| serde_json::from_value::<Box<dyn RegisteredConfig>>(config).unwrap())
    };
    let only = std::env::var("FMRAI_BENCH_ONLY").ok();
    let (mut seconds, mut ratios): (Vec<f64>, [Vec<f64>; 2]) = Default::default();
    for round in 0..=ROUNDS {
        let bare = model(folder);
        let (times, batches) = (Arc::new(Mutex::new(Times::default())), batches(bare.as_ref(), &path));
        let passes = Passes { model: bare, batches, times: Arc::clone(&times) };
        let mut run =
            Run::new().model(model(folder)).data_source(data(&path)).threads(THREADS).observer(passes);
        for (config, name) in configs().into_iter().zip(["patterns", "groups", "memories"]) {
            if only.as_deref().is_none_or(|only| only == name) {
                run = run.config(name, config);
            }
        }
        let start = Instant::now();
        let outcome = run.run().unwrap();
        let all = start.elapsed();
        assert!(outcome.analyses.iter().all(|(_, answer)| answer.is_ok()));
        let Times { bare, first, last } = std::mem::take(&mut *times.lock().unwrap());
        if round > 0 {
            let times = |time: Duration| time.as_secs_f64() / bare.as_secs_f64();
            seconds.push(bare.as_secs_f64());
            ratios[0].push(times(last.unwrap() - first.unwrap()));
            ratios[1].push(times(all - bare));
        }
    }
    let [passes, all] = ratios.map(median);
    let (texts, bare) = (200 * times, median(seconds));
    println!("{name}, {texts} texts: bare {bare:.2} s, passes {passes:.2}, all {all:.2}");
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    set_threads(THREADS).unwrap();
    keep_freed_pages();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let decoder = std::env::var_os("FMRAI_BENCH_DECODER").map(PathBuf::from);
    let times = std::env::var("FMRAI_BENCH_TIMES").map_or(10, |times| times.parse().unwrap());
    match decoder {
        Some(folder) => measure("decoder", &folder, true, times),
        None => measure("MiniLM", &root.join(".fmrai/models/all-MiniLM-L6-v2"), true, times),
    }
}
