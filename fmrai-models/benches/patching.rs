//! Sweeps of edited runs on a model of the size of GPT-2 small (12 layers, 12 heads, 768 channels, 50257 tokens), with two threads, beside
//! what each way of making them cheap gives. Its opponent is `tests/reference/bench/bench_patching.py`, which writes the model and the
//! pairs as well:
//!
//! ```text
//! python tests/reference/bench/bench_patching.py --save FOLDER
//! FMRAI_GPT2=FOLDER cargo bench -p fmrai-models --bench patching
//! ```
//!
//! Prints seconds: the forward pass; each of the 144 head outputs on one pair of 16 tokens, each of the 192 places of the stream (layer and
//! position), the same heads on eight pairs of 64 tokens (with `--long`), and gradients at all of these sites at once.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot start has nothing to say"
)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use fmrai_core::experiment::{Answer, Axis, Bench, Change, Edit, Measure, Objective, Site, Variant};
use fmrai_models::{HfCheckpoint, from_tch};
use fmrai_torch::bench::{BenchSettings, Study};
use fmrai_torch::model::{LoadContext, ModelSource, NamedTensors};
use fmrai_torch::{Device, keep_freed_pages, no_grad};
use serde_json::Value;
use tch::Tensor;

struct Pairs {
    /// Rows clean, corrupted, clean, ...
    rows: Tensor,
    answers: Vec<Answer>,
}

/// What the model takes for rows of token ids without padding.
fn inputs(rows: &Tensor) -> NamedTensors {
    NamedTensors(vec![
        ("input_ids".to_owned(), from_tch(rows)),
        ("attention_mask".to_owned(), from_tch(&rows.ones_like())),
    ])
}

fn ids(value: &Value) -> Vec<i64> {
    value.as_array().map(|all| all.iter().filter_map(Value::as_i64).collect()).unwrap_or_default()
}

impl Pairs {
    fn of(pairs: &Value) -> Self {
        let texts = |name: &str| -> Vec<Vec<i64>> {
            pairs[name].as_array().map(|all| all.iter().map(ids).collect()).unwrap_or_default()
        };
        let (clean, corrupted) = (texts("clean"), texts("corrupted"));
        let (right, wrong) = (ids(&pairs["answer"]), ids(&pairs["wrong"]));
        let (mut rows, mut answers) = (Vec::new(), Vec::new());
        for at in 0..clean.len() {
            for row in [&clean[at], &corrupted[at]] {
                rows.extend_from_slice(row);
                let token = |id: i64| vec![u32::try_from(id).expect("a token")];
                let (right, wrong) = (token(right[at]), token(wrong[at]));
                answers.push(Answer { position: row.len() - 1, right, wrong });
            }
        }
        let width = (rows.len() / answers.len()) as i64;
        let rows = Tensor::from_slice(&rows).reshape([-1, width]);
        Self { rows, answers }
    }

    fn texts(&self, clean: bool) -> Vec<usize> {
        (0..self.answers.len()).filter(|row| (row % 2 == 0) == clean).collect()
    }
}

fn seconds(repeats: usize, mut act: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..repeats {
        let start = Instant::now();
        act();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn main() {
    let Some(folder) = std::env::var_os("FMRAI_GPT2").map(PathBuf::from) else {
        println!("FMRAI_GPT2 names no folder: see the head of this file");
        return;
    };
    tch::set_num_threads(2);
    keep_freed_pages();
    let long = std::env::args().any(|argument| argument == "--long");
    let context = LoadContext::new(Path::new("."), Device::Cpu);
    let pairs = std::fs::read_to_string(folder.join("pairs.json")).expect("pairs.json");
    let pairs: Value = serde_json::from_str(&pairs).expect("JSON");
    for name in ["short", "long"] {
        let pairs = Pairs::of(&pairs[name]);
        let model = HfCheckpoint::new(&folder).load(&context).expect("the model");
        let study = Study::of_inputs(model, inputs(&pairs.rows)).expect("a study");
        let _no_grad = no_grad();
        let half = inputs(&pairs.rows.slice(0, 0, i64::MAX, 2));
        let forward = || drop(study.model().forward(&half).expect("a pass"));
        println!("{name}: forward {:.3} s", seconds(5, forward));
        let sites = study.sites();
        let logits = study.logits().expect("logits");
        let objective = Objective::of_logits(logits, Measure::LogitDifference(pairs.answers.clone()));
        let (clean, corrupted) = (pairs.texts(true), pairs.texts(false));
        let patch = |edit: Edit| Variant::clean(corrupted.clone()).with(edit);
        let heads: Vec<Variant> = sites
            .blocks
            .iter()
            .flat_map(|block| {
                let site = sites.head(block);
                (0..12).map(move |head| (site.clone(), head))
            })
            .map(|(site, head)| patch(Edit::new(site, Change::Clean(clean.clone())).at(Axis::Head, [head])))
            .collect();
        let streams: Vec<Site> = sites
            .blocks
            .iter()
            .filter_map(fmrai_core::experiment::Block::before)
            .map(|id| sites.stream(id))
            .collect();
        let positions = usize::try_from(pairs.rows.size()[1]).expect("positions");
        let places: Vec<Variant> = streams
            .iter()
            .flat_map(|site| (0..positions).map(move |at| (site.clone(), at)))
            .map(|(site, at)| patch(Edit::new(site, Change::Clean(clean.clone())).at(Axis::Position, [at])))
            .collect();
        let all = BenchSettings::default();
        let ways = [
            ("all", all.clone()),
            ("without reuse", BenchSettings { reuse: false, ..all.clone() }),
            ("without packing", BenchSettings { pack: false, ..all.clone() }),
            ("without early end", BenchSettings { end_early: false, ..all.clone() }),
            ("plain", BenchSettings::plain()),
        ];
        let bench = |settings: &BenchSettings| study.bench_with(settings.clone()).expect("a bench");
        for (what, settings) in &ways {
            if name == "long" && (!long || *what != "all") {
                continue;
            }
            let measure = |variants: &[Variant]| {
                let mut bench = bench(settings);
                let time = seconds(1, || {
                    bench.measure(variants, std::slice::from_ref(&objective)).expect("measures");
                });
                (time, bench.passes())
            };
            let (time, passes) = measure(&heads);
            println!("{name}, {what}: {} heads {time:.2} s, {passes:.0} passes", heads.len());
            if name == "short" {
                let (time, passes) = measure(&places);
                println!("{name}, {what}: {} places {time:.2} s, {passes:.0} passes", places.len());
            }
        }
        let mut both = streams.clone();
        both.extend(sites.blocks.iter().map(|block| sites.head(block)));
        let time = seconds(3, || {
            let mut bench = bench(&all);
            let own = Variant::clean(corrupted.clone());
            bench.gradients(&own, &objective, &both).expect("gradients");
            bench.read(&Variant::clean(clean.clone()), &both).expect("activations");
        });
        println!("{name}: gradients and activations of all of these sites {time:.3} s");
    }
}
