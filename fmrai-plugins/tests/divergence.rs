//! The vectorised divergences against the definition in float64.

use fmrai_core::tolerance::Tolerance;
use fmrai_plugins::statistics::divergence::{HeadRows, full_matrix, pair_index, pairs};
use proptest::prelude::*;

const TOLERANCE: Tolerance = Tolerance { absolute: 1e-6, relative: 0.0 };

/// Attention `[head, query, key]` of one text.
#[derive(Debug, Clone)]
struct Heads {
    tokens: usize,
    data: Vec<Vec<f32>>,
}

impl Heads {
    fn divergences(&self, smoothing: f64) -> Vec<f64> {
        let mut rows = HeadRows::default();
        rows.fill(self.data.len(), self.tokens, smoothing, |h, q| {
            &self.data[h][q * self.tokens..(q + 1) * self.tokens]
        });
        let mut sums = vec![0.0; pairs(self.data.len())];
        rows.add_divergences(&mut sums);
        sums
    }

    fn definition(&self, smoothing: f64) -> Vec<f64> {
        let mut list = Vec::new();
        let smooth = |p: f32| (1.0 - smoothing) * f64::from(p) + smoothing / self.tokens as f64;
        let part = |x: f64, m: f64| if x > 0.0 { 0.5 * x * (x / m).ln() } else { 0.0 };
        for (a, p) in self.data.iter().enumerate() {
            for q in &self.data[..a] {
                let elements = p.iter().zip(q).map(|(&p, &q)| {
                    let (p, q) = (smooth(p), smooth(q));
                    part(p, (p + q) / 2.0) + part(q, (p + q) / 2.0)
                });
                list.push(elements.sum::<f64>() / self.tokens as f64);
            }
        }
        list
    }
}

/// One row: softmax of noise, one-hot, uniform over some keys, causal, or with denormals.
fn row(n: usize) -> impl Strategy<Value = Vec<f32>> {
    (0usize..6, 0.1f32..12.0, prop::collection::vec(0.0f32..1.0, n), 0..n).prop_map(
        move |(kind, sharp, noise, at)| {
            let weights: Vec<f32> = noise
                .iter()
                .enumerate()
                .map(|(key, &x)| match kind {
                    0 => (sharp * x).exp(),
                    1 => f32::from(u8::from(key == at)),
                    2 => f32::from(u8::from(key % (1 + at % 4) == 0)),
                    3 if key > at => 0.0,
                    4 if x < 0.3 => x * 1e-40,
                    _ => (4.0 * sharp * x).exp(),
                })
                .collect();
            let sum: f32 = weights.iter().sum();
            if sum > 1e-30 { weights.iter().map(|w| w / sum).collect() } else { one_hot(n, at) }
        },
    )
}

fn one_hot(n: usize, at: usize) -> Vec<f32> {
    (0..n).map(|key| if key == at { 1.0 } else { 0.0 }).collect()
}

fn heads() -> impl Strategy<Value = Heads> {
    (1usize..14, 1usize..40).prop_flat_map(|(heads, n)| {
        prop::collection::vec(prop::collection::vec(row(n), n).prop_map(|rows| rows.concat()), heads)
            .prop_map(move |data| Heads { tokens: n, data })
    })
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(96))]

    #[test]
    fn as_the_definition(heads in heads(), smoothing in prop_oneof![Just(0.0), Just(0.001), 0.0..1.0f64]) {
        TOLERANCE.check(&heads.divergences(smoothing), &heads.definition(smoothing)).unwrap();
    }

    #[test]
    fn a_symmetric_matrix_within_its_bounds(heads in heads()) {
        let n = heads.data.len();
        let matrix = full_matrix(n, &heads.divergences(0.0));
        for a in 0..n {
            prop_assert_eq!(matrix[a * n + a], 0.0);
            for b in 0..n {
                let d = matrix[a * n + b];
                prop_assert!((0.0..=std::f64::consts::LN_2).contains(&d));
                prop_assert_eq!(d, matrix[b * n + a]);
            }
        }
    }

    #[test]
    fn identical_heads_are_at_exactly_zero(heads in heads()) {
        let mut twice = heads.clone();
        twice.data.extend(heads.data.iter().cloned());
        let (n, divergences) = (heads.data.len(), twice.divergences(0.0));
        for head in 0..n {
            prop_assert_eq!(divergences[pair_index(n + head, head)], 0.0);
        }
    }

    #[test]
    fn permuted_heads_give_permuted_divergences(heads in heads(), seed in any::<u64>()) {
        let n = heads.data.len();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|&i| (i as u64 + 1).wrapping_mul(seed | 1));
        let permuted = Heads { data: order.iter().map(|&i| heads.data[i].clone()).collect(), ..heads.clone() };
        let (one, other) = (full_matrix(n, &heads.divergences(0.0)), full_matrix(n, &permuted.divergences(0.0)));
        for a in 0..n {
            for b in 0..n {
                prop_assert_eq!(other[a * n + b], one[order[a] * n + order[b]]);
            }
        }
    }
}

/// What is hardest for sums in `f32`: the same number many times, so that rounding has a direction.
#[test]
fn flat_rows_of_every_width() {
    for n in [2usize, 3, 31, 96, 100, 192, 255, 300] {
        let flat = |width: usize, shift: usize| -> Vec<f32> {
            let row = (0..n).map(|key| if (key + shift) % n < width { 1.0 / width as f32 } else { 0.0 });
            row.collect::<Vec<f32>>().repeat(n)
        };
        let widths = [n, n.div_ceil(2), n.div_ceil(3), n.div_ceil(5), n.div_ceil(11), 2.min(n), 1];
        let data = widths.iter().flat_map(|&w| [flat(w, 0), flat(w, n / 2)]).collect();
        let heads = Heads { tokens: n, data };
        TOLERANCE.check(&heads.divergences(0.0), &heads.definition(0.0)).unwrap();
    }
}

#[test]
fn disjoint_heads_are_at_exactly_ln_2() {
    for n in [2usize, 7, 64, 100] {
        let shifted = |by: usize| (0..n).flat_map(|query| one_hot(n, (query + by) % n)).collect();
        let heads = Heads { tokens: n, data: vec![shifted(0), shifted(1)] };
        assert_eq!(heads.divergences(0.0), [std::f64::consts::LN_2]);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let rows = |seed: u64| -> Vec<f32> {
        (0..90 * 90).map(|i: u64| ((i + 1).wrapping_mul(seed * 7919 + 13) % 1000) as f32 / 45000.0).collect()
    };
    let heads = Heads { tokens: 90, data: (0..40).map(rows).collect() };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| heads.divergences(0.0))
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
}
