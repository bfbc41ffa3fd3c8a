//! How strongly heads read what others write.

use std::collections::BTreeMap;

use ndarray::{Array2, s};
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use rayon::prelude::*;

use super::config::Baseline;
use super::matrices::{Heads, norm, norm_of_product};
use super::weights::LayerWeights;

/// What of the reading head reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Query,
    Key,
    Value,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Query, Self::Key, Self::Value];

    /// As in the names of tensors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Query => "q",
            Self::Key => "k",
            Self::Value => "v",
        }
    }

    /// In words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Query => "queries",
            Self::Key => "keys",
            Self::Value => "values",
        }
    }
}

/// A pair of heads: what the first one writes is read by the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    pub(super) kind: Kind,
    /// Layer and head that write.
    pub(super) from: [usize; 2],
    /// Layer and head that read.
    pub(super) to: [usize; 2],
    pub(super) value: f64,
}

/// The matrices of a layer with what is used of them again and again.
struct Prepared<'w> {
    layer: usize,
    /// `W_O` with the Grams of `W_V`.
    write: Option<Side<'w>>,
    /// Of each kind of `M = A Bᵀ`, `A` with the Grams of `B`.
    read: Vec<(Kind, Side<'w>)>,
}

/// One side of a product, that the other side is multiplied with, and the Grams of what lies behind it.
struct Side<'w> {
    heads: &'w Heads,
    grams: Vec<Array2<f64>>,
    /// Norms of the whole matrices, by head.
    norms: Vec<f64>,
}

fn norms(a: &[Array2<f64>], b: &[Array2<f64>]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| norm_of_product(a, b)).collect()
}

impl<'w> Prepared<'w> {
    /// The reasons for what is not there go into `lacking`.
    fn of(weights: &'w LayerWeights, lacking: &mut Vec<String>) -> Self {
        let mut told = |reason: &String| lacking.push(format!("layer {}: {reason}", weights.layer));
        let grams = |heads: &'w Result<Heads, String>, told: &mut dyn FnMut(&String)| {
            heads.as_ref().inspect_err(|reason| told(reason)).ok().map(|heads| (heads, heads.grams()))
        };
        let [query, key, value, output] = [&weights.query, &weights.key, &weights.value, &weights.output]
            .map(|heads| grams(heads, &mut told));
        let mut read = Vec::new();
        if let (Some((query, of_query)), Some((key, of_key))) = (query, key)
            && query.width() == key.width()
        {
            let norms = norms(&of_query, &of_key);
            read.push((Kind::Query, Side { heads: query, grams: of_key, norms: norms.clone() }));
            read.push((Kind::Key, Side { heads: key, grams: of_query, norms }));
        }
        let mut write = None;
        if let (Some((value, of_value)), Some((output, of_output))) = (value, output)
            && value.width() == output.width()
        {
            let norms = norms(&of_value, &of_output);
            read.push((Kind::Value, Side { heads: value, grams: of_output, norms: norms.clone() }));
            write = Some(Side { heads: output, grams: of_value, norms });
        }
        Self { layer: weights.layer, write, read }
    }

    /// The edges from another layer to this one.
    fn edges(&self, before: &Self) -> Vec<Edge> {
        let Some(Side { heads: output, grams: of_value, norms: written }) = &before.write else {
            return Vec::new();
        };
        let mut edges = Vec::new();
        for (kind, Side { heads, grams, norms }) in &self.read {
            if output.all.nrows() != heads.all.nrows() {
                continue;
            }
            let product = output.all.t().dot(&heads.all);
            let (rows, columns) = (output.width(), heads.width());
            for (from, gram) in of_value.iter().enumerate() {
                for (to, other) in grams.iter().enumerate() {
                    let x =
                        product.slice(s![from * rows..(from + 1) * rows, to * columns..(to + 1) * columns]);
                    let value = norm(gram, &x.mapv(f64::from), other) / (written[from] * norms[to]);
                    edges.push(Edge { kind: *kind, from: [before.layer, from], to: [self.layer, to], value });
                }
            }
        }
        edges
    }
}

/// Multiplications that it takes to compose all layers, about.
pub(super) fn cost(sizes: &[[usize; 2]]) -> f64 {
    let of = |at: usize| {
        let [channels, stream] = sizes[at].map(|n| n as f64);
        3.0 * channels * channels * stream * at as f64
    };
    (0..sizes.len()).map(of).sum()
}

/// The compositions of all pairs of heads of which one is in a later layer. What is lacking is named.
pub(super) fn edges(layers: &[LayerWeights], lacking: &mut Vec<String>) -> Vec<Edge> {
    let prepared: Vec<Prepared<'_>> = layers.iter().map(|layer| Prepared::of(layer, lacking)).collect();
    let pairs: Vec<(usize, usize)> =
        (0..prepared.len()).flat_map(|to| (0..to).map(move |from| (from, to))).collect();
    let found: Vec<Vec<Edge>> =
        pairs.par_iter().map(|(from, to)| prepared[*to].edges(&prepared[*from])).collect();
    found.into_iter().flatten().collect()
}

/// The mean composition of random matrices, by the shapes of those of a pair of layers: channels of the stream, of the writing head, of the
/// reading one.
#[derive(Debug, Default)]
pub(super) struct Expected(BTreeMap<[usize; 3], f64>);

impl Expected {
    /// Of these shapes.
    pub(super) fn of(&mut self, shape: [usize; 3], baseline: &Baseline) -> f64 {
        let draw = || {
            let [stream, writes, reads] = shape;
            let mut random = Xoshiro256PlusPlus::seed_from_u64(baseline.seed);
            let mut matrix = |width: usize| {
                let all = Array2::from_shape_simple_fn((stream, width), || {
                    let x: f64 = StandardNormal.sample(&mut random);
                    x as f32
                });
                Heads { all, heads: 1 }
            };
            let sum: f64 = (0..baseline.draws)
                .map(|_| {
                    let [value, output] = [matrix(writes), matrix(writes)];
                    let [a, b] = [matrix(reads), matrix(reads)];
                    let x = output.all.t().dot(&a.all).mapv(f64::from);
                    let [of_value, of_output, of_a, of_b] =
                        [&value, &output, &a, &b].map(|heads| heads.grams().remove(0));
                    norm(&of_value, &x, &of_b)
                        / (norm_of_product(&of_value, &of_output) * norm_of_product(&of_a, &of_b))
                })
                .sum();
            sum / baseline.draws.max(1) as f64
        };
        *self.0.entry(shape).or_insert_with(draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(stream: usize, width: usize, from: usize) -> Heads {
        let number = |i: usize| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
        Heads {
            all: Array2::from_shape_fn((stream, 2 * width), |(r, c)| number(from + r * 17 + c)),
            heads: 2,
        }
    }

    #[test]
    fn compositions_are_those_of_the_whole_matrices() {
        let layer = |layer: usize| LayerWeights {
            layer,
            query: Ok(heads(5, 2, 100 * layer)),
            key: Ok(heads(5, 2, 100 * layer + 20)),
            value: Ok(heads(5, 3, 100 * layer + 40)),
            output: Ok(heads(5, 3, 100 * layer + 60)),
        };
        let layers = [layer(0), layer(1)];
        let mut lacking = Vec::new();
        let found = edges(&layers, &mut lacking);
        assert_eq!((found.len(), lacking.len()), (3 * 4, 0));
        let of =
            |heads: &Result<Heads, String>, head: usize| heads.as_ref().unwrap().head(head).mapv(f64::from);
        let size = |m: &Array2<f64>| m.iter().map(|x| x * x).sum::<f64>().sqrt();
        for edge in found {
            let [first, second] = &layers;
            let ov = of(&first.value, edge.from[1]).dot(&of(&first.output, edge.from[1]).t());
            let [q, k, v, o] =
                [&second.query, &second.key, &second.value, &second.output].map(|h| of(h, edge.to[1]));
            let m = match edge.kind {
                Kind::Query => q.dot(&k.t()),
                Kind::Key => k.dot(&q.t()),
                Kind::Value => v.dot(&o.t()),
            };
            let wanted = size(&ov.dot(&m)) / (size(&ov) * size(&m));
            assert!((edge.value - wanted).abs() < 1e-6, "{edge:?} {wanted}");
        }
    }

    #[test]
    fn random_matrices_compose_a_little() {
        let baseline = Baseline { draws: 20, seed: 3 };
        let wide = Expected::default().of([256, 8, 8], &baseline);
        let narrow = Expected::default().of([64, 8, 8], &baseline);
        // About 1 / √channels.
        assert!((wide * 16.0 - 1.0).abs() < 0.1 && (narrow * 8.0 - 1.0).abs() < 0.1, "{wide} {narrow}");
    }

    #[test]
    fn what_is_lacking_is_named_and_the_rest_goes_on() {
        let none = || Err("it has none".to_owned());
        let layer = |layer: usize| LayerWeights {
            layer,
            query: none(),
            key: Ok(heads(5, 2, 3)),
            value: Ok(heads(5, 3, 4)),
            output: Ok(heads(5, 3, 5)),
        };
        let mut lacking = Vec::new();
        let found = edges(&[layer(0), layer(1)], &mut lacking);
        assert!(found.iter().all(|edge| edge.kind == Kind::Value) && found.len() == 4);
        assert_eq!(lacking, ["layer 0: it has none", "layer 1: it has none"]);
    }
}
