//! Jensen-Shannon divergence of all pairs of attention heads over one text.
//!
//! Figures to beat, one text, two threads of an x86-64 server with AVX2 or AVX-512:
//!
//! | heads x tokens | early Python package | good PyTorch | torch.compile | aim |
//! | --- | --- | --- | --- | --- |
//! | 72 x 64 | 43-46 ms | 11.6 ms | 6.9-8.9 ms | 1.1 ms (40x; 2x torch.compile) |
//! | 144 x 128 | 1.46-2.02 s | 132-184 ms | 45-54 ms | 18 ms (80x; 2x torch.compile) |
//! | 1024 x 256 | 1237-1847 s | 181-192 s | 8-12 s | 4.1 s (300x; 2x torch.compile) |
//!
//! `RAYON_NUM_THREADS=2 cargo bench -p fmrai-plugins --bench head_distances`. The group `scalar` is the definition in
//! plain float64 on one thread, so that a ratio can be taken on a machine that is not quiet; `causal` is the same text
//! seen by a decoder.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fmrai_plugins::statistics::divergence::{HeadRows, pairs};

/// `[head, query, key]`: softmax of normal noise of standard deviation 2, as in `tests/reference/bench`.
fn attention(heads: usize, tokens: usize, causal: bool) -> Vec<f32> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let mut rows = Vec::with_capacity(heads * tokens * tokens);
    for row in 0..heads * tokens {
        let seen = if causal { row % tokens + 1 } else { tokens };
        let start = rows.len();
        for key in 0..tokens {
            let normal = (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
            rows.push(if key < seen { (2.0 * normal).exp() as f32 } else { 0.0 });
        }
        let sum: f32 = rows[start..].iter().sum();
        rows[start..].iter_mut().for_each(|p| *p /= sum);
    }
    rows
}

/// The definition, in float64.
fn scalar(attention: &[f32], heads: usize, tokens: usize, sums: &mut [f64]) {
    let area = tokens * tokens;
    let mut pair = 0;
    for a in 0..heads {
        for b in 0..a {
            let (p, q) = (&attention[a * area..(a + 1) * area], &attention[b * area..(b + 1) * area]);
            let total: f64 = p.iter().zip(q).map(|(&p, &q)| js(f64::from(p), f64::from(q))).sum();
            sums[pair] += total / tokens as f64;
            pair += 1;
        }
    }
}

fn js(p: f64, q: f64) -> f64 {
    let m = (p + q) / 2.0;
    let part = |x: f64| if x > 0.0 { 0.5 * x * (x / m).ln() } else { 0.0 };
    part(p) + part(q)
}

fn head_distances(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head_distances");
    for (heads, tokens, causal, samples) in
        [(72, 64, false, 50), (144, 128, false, 20), (144, 128, true, 20), (1024, 256, false, 10)]
    {
        let data = attention(heads, tokens, causal);
        let mut sums = vec![0.0; pairs(heads)];
        let mut rows = HeadRows::default();
        let id = if causal { "causal" } else { "all" };
        group.sample_size(samples).warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(if heads > 1000 { 30 } else { 4 }));
        group.bench_function(BenchmarkId::new(id, format!("{heads}x{tokens}")), |bench| {
            bench.iter(|| {
                rows.fill(heads, tokens, 0.0, |head, query| {
                    let start = (head * tokens + query) * tokens;
                    &data[start..start + tokens]
                });
                rows.add_divergences(black_box(&mut sums));
            });
        });
    }
    let (heads, tokens) = (72, 64);
    let data = attention(heads, tokens, false);
    let mut sums = vec![0.0; pairs(heads)];
    group.sample_size(10).measurement_time(Duration::from_secs(4));
    group.bench_function(BenchmarkId::new("scalar", format!("{heads}x{tokens}")), |bench| {
        bench.iter(|| scalar(black_box(&data), heads, tokens, black_box(&mut sums)));
    });
    group.finish();
}

criterion_group!(benches, head_distances);
criterion_main!(benches);
