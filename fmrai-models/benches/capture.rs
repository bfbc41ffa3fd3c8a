//! What tracking costs beside the bare forward pass: a BERT-like encoder of MiniLM's size (6 layers, 12 heads,
//! 384 channels), 8 texts of 64 tokens, all on the same machine in one run.
//!
//! To beat, as ratio to the bare pass: 1.05 with everything kept. Tools that capture every operation from Python
//! were measured at 1.06 to 1.19 keeping references, 1.6 to 2.0 keeping copies, and 2.4 to 18.
//!
//! Run with `cargo bench -p fmrai-models --bench capture`.
#![allow(clippy::expect_used, reason = "a benchmark that cannot start has nothing to say")]

use criterion::{Criterion, criterion_group, criterion_main};
use fmrai_core::graph::Graph;
use fmrai_core::tracker::{CaptureRequest, Tracker};
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::keep_freed_pages;
use tch::{Device, Kind, Tensor};

const LAYERS: usize = 6;
const HEADS: i64 = 12;
const CHANNELS: i64 = 384;

struct Layer {
    projections: [Tensor; 4],
    inner: Tensor,
    outer: Tensor,
}

fn weights(rows: i64, columns: i64) -> Tensor {
    Tensor::randn([rows, columns], (Kind::Float, Device::Cpu)) * 0.05
}

impl Layer {
    fn new() -> Self {
        Self {
            projections: std::array::from_fn(|_| weights(CHANNELS, CHANNELS)),
            inner: weights(4 * CHANNELS, CHANNELS),
            outer: weights(CHANNELS, 4 * CHANNELS),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let (batch, tokens) = (x.size()[0], x.size()[1]);
        let project = |w: &Tensor| {
            x.linear::<&Tensor>(w, None).view([batch, tokens, HEADS, CHANNELS / HEADS]).transpose(1, 2)
        };
        let [q, k, v] = [0, 1, 2].map(|i| project(&self.projections[i]));
        let context =
            Tensor::scaled_dot_product_attention::<&Tensor>(&q, &k, &v, None, 0.0, false, None, false);
        let context = context.transpose(1, 2).reshape([batch, tokens, CHANNELS]);
        let norm = |x: &Tensor| x.layer_norm::<&Tensor>([CHANNELS], None, None, 1e-12, true);
        let x = norm(&(x + context.linear::<&Tensor>(&self.projections[3], None).dropout(0.1, false)));
        let inner = x.linear::<&Tensor>(&self.inner, None).gelu("none");
        norm(&(&x + inner.linear::<&Tensor>(&self.outer, None).dropout(0.1, false)))
    }
}

fn capture(c: &mut Criterion) {
    tch::manual_seed(1);
    tch::set_num_threads(2);
    keep_freed_pages();
    let _no_grad = tch::no_grad_guard();
    let layers: Vec<Layer> = (0..LAYERS).map(|_| Layer::new()).collect();
    let x = Tensor::randn([8, 64, CHANNELS], (Kind::Float, Device::Cpu));
    let forward = || {
        let mut y = x.shallow_clone();
        for layer in &layers {
            y = layer.forward(&y);
        }
    };
    let mut tracked = || {
        forward();
        Ok(())
    };
    let mut tracker = DispatchTracker::new().expect("the hook installs");
    let graph = tracker.discover(&mut tracked).expect("the pass runs");
    // Everything the pass computes; weights are not copied for the question what tracking costs.
    let everything: CaptureRequest = graph
        .operations()
        .iter()
        .flat_map(|o| &o.outputs)
        .copied()
        .filter(|id| graph.tensor(*id).is_some_and(|t| !t.on_request))
        .collect();

    let mut group = c.benchmark_group("capture/6x12x384/8x64");
    group.sample_size(60);
    group.bench_function("bare", |b| b.iter(forward));
    group.bench_function("discover", |b| b.iter(|| tracker.discover(&mut tracked)));
    group
        .bench_function("track_nothing", |b| b.iter(|| tracker.track(&CaptureRequest::none(), &mut tracked)));
    group.bench_function("track_everything", |b| b.iter(|| tracker.track(&everything, &mut tracked)));
    group.finish();
}

criterion_group!(benches, capture);
criterion_main!(benches);
