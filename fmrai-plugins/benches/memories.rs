//! Triggers, moments and active shares of one batch, at the size of MiniLM: 6 layers of 1536 neurons, 8 texts of 16 to
//! 64 tokens, padded to the longest.
//!
//! `RAYON_NUM_THREADS=2 cargo bench -p fmrai-plugins --bench memories`. Aim on two threads of an x86-64 server: at most 3 ms a batch
//! once the lists of triggers are full (`full`), beyond the forward pass. `empty` is the first batch of a run, in which every
//! text enters every list.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ModelView};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::graph::{OperationId, TensorId};
use fmrai_core::structure::{ActivationFunction, FeedForward, FeedForwardKind, NeuronWeights, Structure};
use fmrai_core::testing::{MemoryActivations, empty_graph, padded_sample};
use fmrai_plugins::ffn_key_value::FfnKeyValueConfig;

const LAYERS: usize = 6;
const NEURONS: usize = 1536;
const LENGTHS: [usize; 8] = [16, 64, 24, 32, 40, 20, 28, 36];
const POSITIONS: usize = 64;

fn structure() -> Structure {
    let nowhere = TensorId(u32::MAX);
    let weights = NeuronWeights { weight: nowhere, axis: 0, start: 0, step: 1, groups: 1, expert_axis: None };
    let block = |layer: usize| FeedForward {
        layer,
        kind: FeedForwardKind::Plain,
        shared: false,
        module: String::new(),
        neurons: NEURONS,
        experts: None,
        function: ActivationFunction::Gelu,
        input: nowhere,
        pre_activation: nowhere,
        linear: None,
        activation: TensorId(layer as u32),
        output: nowhere,
        keys: weights,
        gate: None,
        values: weights,
        operations: vec![OperationId(0)],
        positions: None,
    };
    Structure { feed_forward: (0..LAYERS).map(block).collect(), ..Structure::default() }
}

/// Numbers with the shape of GELU's results: most a little below 0, few large.
fn activations(seed: u64) -> Option<MemoryActivations> {
    let mut state = seed;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = 6.0 * ((state >> 40) as f32 / (1u64 << 24) as f32) - 4.0;
        x / (1.0 + (-1.702 * x).exp())
    };
    let shape = [LENGTHS.len(), POSITIONS, NEURONS];
    (0..LAYERS as u32).try_fold(MemoryActivations::new(), |all, layer| {
        all.with_f32(TensorId(layer), shape, (0..shape.iter().product()).map(|_| number()).collect()).ok()
    })
}

fn samples(batch: u64) -> Vec<Sample> {
    let first = batch * LENGTHS.len() as u64;
    (first..).zip(LENGTHS).map(|(id, n)| padded_sample(id, &vec![7; n], 0)).collect()
}

fn prepared() -> Option<Box<dyn Analyzer>> {
    let (graph, structure) = (empty_graph().ok()?, structure());
    let model = ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: None };
    let mut analyzer = FfnKeyValueConfig::default().build().ok()?;
    analyzer.prepare(&model).ok()?;
    Some(analyzer)
}

fn track_batch(c: &mut Criterion) {
    let batches: Vec<_> = (0..16).filter_map(activations).collect();
    let mut group = c.benchmark_group("memories");
    let mut next = 0;
    let track = |analyzer: &mut dyn Analyzer, samples: &[Sample], index: u64| {
        let Some(activations) = batches.get(index as usize % batches.len().max(1)) else { return };
        let tracked = analyzer.track_batch(&Batch::new(index, samples, activations));
        assert!(black_box(tracked).is_ok());
    };
    if let Some(mut analyzer) = prepared() {
        for _ in 0..128 {
            track(analyzer.as_mut(), &samples(next), next);
            next += 1;
        }
        group.bench_function("full", |b| {
            b.iter_batched(
                || {
                    next += 1;
                    (samples(next), next)
                },
                |(samples, index)| track(analyzer.as_mut(), &samples, index),
                BatchSize::PerIteration,
            );
        });
    }
    group.bench_function("empty", |b| {
        b.iter_batched(
            prepared,
            |analyzer| {
                let Some(mut analyzer) = analyzer else { return };
                track(analyzer.as_mut(), &samples(0), 0);
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, track_batch);
criterion_main!(benches);
