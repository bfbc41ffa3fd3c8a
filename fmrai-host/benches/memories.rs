//! What the key-value memories of MiniLM cost beside its bare forward passes: the 200 texts of `examples/texts/prose.txt` in
//! batches of 8, all in one run on the same machine.
//!
//! `cargo xtask setup`, then `RAYON_NUM_THREADS=2 cargo bench -p fmrai-host --bench memories`; libtorch has two threads as well. Aim: `memories` at most 1.3 times `bare`; `captured` is without the analysis. It holds the
//! capture of 6 coefficients and 18 streams and all that is done with each batch; the map of the values to the vocabulary, once at
//! the end of a run, is not in it.
#![allow(clippy::expect_used, reason = "a benchmark that cannot start has nothing to say")]

use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use fmrai_core::analyzer::{AnalyzerConfig, ModelView};
use fmrai_core::batch::Batch;
use fmrai_core::structure::Structure;
use fmrai_core::tracker::Tracker;
use fmrai_models::HfCheckpoint;
use fmrai_plugins::ffn_key_value::FfnKeyValueConfig;
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::data::{DataContext, DataSource, InputBatch, TextLines};
use fmrai_torch::model::{LoadContext, LoadedWeights, ModelSource};
use fmrai_torch::{Device, keep_freed_pages, no_grad, set_threads};
use serde_json::json;

fn memories(c: &mut Criterion) {
    let base = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let model = json!({ "path": ".fmrai/models/all-MiniLM-L6-v2" });
    let source: HfCheckpoint = serde_json::from_value(model).expect("a config");
    let model =
        source.load(&LoadContext::new(base, Device::Cpu)).expect("`cargo xtask setup` fetches the model");
    let data = json!({ "path": "examples/texts/prose.txt", "batch_size": 8, "max_tokens": 64 });
    let data: TextLines = serde_json::from_value(data).expect("a config");
    let (inputs, max_tokens) = (model.inputs(), model.info().max_tokens);
    let context = DataContext { base, tokenizer: model.tokenizer(), max_tokens, inputs: &inputs };
    let mut open = data.open(&context).expect("the texts are there");
    let mut batches: Vec<InputBatch> = Vec::new();
    while let Some(batch) = open.next_batch().expect("the texts are read") {
        batches.push(batch);
    }

    set_threads(2).expect("two threads");
    keep_freed_pages();
    let _no_grad = no_grad();
    let mut tracker = DispatchTracker::new().expect("the hook installs");
    for (name, tensor) in model.parameters() {
        tracker.name_parameter(&name, &tensor);
    }
    let forward = |batch: &InputBatch| {
        model.forward(&batch.inputs).expect("the model runs");
    };
    let first = batches.first().expect("there are texts");
    let mut pass = || {
        forward(first);
        Ok(())
    };
    let graph = tracker.discover(&mut pass).expect("the pass runs");
    let structure = Structure::of(graph.as_ref());
    let view = ModelView {
        graph: graph.as_ref(),
        structure: &structure,
        vocabulary: None,
        weights: Some(&(Arc::new(LoadedWeights::of(model.as_ref(), graph.as_ref())) as _)),
    };
    let config = FfnKeyValueConfig { tied_embedding: true, ..FfnKeyValueConfig::default() };
    let new = || {
        let mut analyzer = config.build().expect("the config is valid");
        let request = analyzer.prepare(&view).expect("the model has feed-forward blocks");
        (analyzer, request)
    };

    let mut group = c.benchmark_group("memories/minilm/200 texts");
    group.sample_size(10);
    group.bench_function("bare", |b| b.iter(|| batches.iter().for_each(forward)));
    let (_, request) = new();
    group.bench_function("captured", |b| {
        b.iter(|| {
            for batch in &batches {
                let mut pass = || {
                    forward(batch);
                    Ok(())
                };
                drop(tracker.track(&request, &mut pass).expect("the pass runs"));
            }
        });
    });
    group.bench_function("memories", |b| {
        b.iter_batched_ref(
            new,
            |(analyzer, request)| {
                for batch in &batches {
                    let mut pass = || {
                        forward(batch);
                        Ok(())
                    };
                    let seen = tracker.track(request, &mut pass).expect("the pass runs");
                    let seen = Batch::new(batch.index, &batch.samples, seen.as_ref());
                    analyzer.track_batch(&seen).expect("the batch is read");
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, memories);
criterion_main!(benches);
