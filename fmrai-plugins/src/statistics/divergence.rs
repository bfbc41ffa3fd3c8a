//! Jensen-Shannon divergence of all pairs of attention heads over one text.
//!
//! `JS(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2`, so each pair needs one logarithm an element, and the pairs `a > b`
//! are enough. Rows are stored scaled by a power of two (see [`super::entropy`]), halved, one head after the other,
//! without the positions that no head attends to (half of them in a causal model). Pairs are taken in tiles of heads
//! and runs of positions, so that what a tile reads stays in the cache; tiles run in parallel.
//!
//! Each pair is summed by one thread in one order: the result does not depend on the number of threads.

use fearless_simd::{Level, Simd, dispatch};
use rayon::prelude::*;

use super::entropy::{Affine, row_scale};
use super::log2::{LANES, RUN, SCALE, run_of_sums, sum_of_sums};

/// The attention of all heads over one text, ready for [`Self::add_divergences`]. Reuse it from text to text: it keeps
/// its memory.
#[derive(Debug)]
pub struct HeadRows {
    level: Level,
    heads: usize,
    queries: usize,
    scale: f32,
    /// `[head, stride]`.
    data: Vec<f32>,
    stride: usize,
    /// Keys kept of each query, and where the list of each query ends.
    keys: Vec<u32>,
    ends: Vec<usize>,
}

impl Default for HeadRows {
    fn default() -> Self {
        Self {
            level: Level::new(),
            heads: 0,
            queries: 0,
            scale: 1.0,
            data: Vec::new(),
            stride: 0,
            keys: Vec::new(),
            ends: Vec::new(),
        }
    }
}

impl HeadRows {
    /// Takes the rows of a text in: `row(head, query)` is the row `[key]` of `tokens` probabilities.
    ///
    /// With `smoothing` s, each row becomes `(1 - s) p + s / n`.
    ///
    /// # Panics
    /// If a row has not `tokens` elements.
    pub fn fill<'a>(
        &mut self,
        heads: usize,
        tokens: usize,
        smoothing: f64,
        row: impl Fn(usize, usize) -> &'a [f32] + Sync,
    ) {
        self.fill_queries(heads, tokens, tokens, smoothing, |head, query| {
            let row = row(head, query);
            assert_eq!(row.len(), tokens, "row of head {head}, query {query}");
            row
        });
    }

    /// Takes rows `[key]` of `keys` probabilities in; a shorter row has none for the last ones.
    ///
    /// # Panics
    /// If a row has more than `keys` elements.
    pub fn fill_queries<'a>(
        &mut self,
        heads: usize,
        queries: usize,
        keys: usize,
        smoothing: f64,
        row: impl Fn(usize, usize) -> &'a [f32] + Sync,
    ) {
        let tokens = keys;
        self.heads = heads;
        self.queries = queries;
        self.scale = row_scale(tokens);
        self.select_keys(heads, queries, tokens, smoothing > 0.0, &row);
        self.stride = self.keys.len().next_multiple_of(LANES);
        let affine = Affine::new(tokens, smoothing, self.scale);
        self.data.resize(heads * self.stride, 0.0);
        let (keys, ends) = (&self.keys, &self.ends);
        self.data.par_chunks_mut(self.stride.max(1)).enumerate().for_each(|(head, out)| {
            let mut start = 0;
            for (query, &end) in ends.iter().enumerate() {
                let source = row(head, query);
                assert!(source.len() <= tokens, "row of head {head}, query {query}");
                if end - start == source.len() && source.len() == tokens {
                    for (x, &p) in out[start..end].iter_mut().zip(source) {
                        *x = affine.apply(p);
                    }
                } else {
                    for (x, &key) in out[start..end].iter_mut().zip(&keys[start..end]) {
                        *x = affine.apply(source.get(key as usize).copied().unwrap_or(0.0));
                    }
                }
                start = end;
            }
            out[start..].fill(0.0);
        });
    }

    /// Lists the keys of each query that any head attends to.
    fn select_keys<'a>(
        &mut self,
        heads: usize,
        queries: usize,
        tokens: usize,
        all: bool,
        row: &(impl Fn(usize, usize) -> &'a [f32] + Sync),
    ) {
        self.keys.clear();
        self.ends.clear();
        let mut used = vec![all; tokens];
        for query in 0..queries {
            if !all {
                used.fill(false);
                for head in 0..heads {
                    let source = row(head, query);
                    let mut missing = source.len() < tokens;
                    for (used, &p) in used.iter_mut().zip(source) {
                        *used |= p > 0.0;
                        missing |= !*used;
                    }
                    if !missing {
                        break; // the common case: some head attends to every key
                    }
                }
            }
            self.keys.extend((0u32..).zip(&used).filter(|(_, used)| **used).map(|(key, _)| key));
            self.ends.push(self.keys.len());
        }
    }

    /// Adds the divergence of each pair of heads, in nats and as the mean over queries, to `sums`.
    ///
    /// `sums` has an element for each pair `a > b`, at [`pair_index`]`(a, b)`. Each value lies within [0, ln 2], is
    /// exactly 0 for identical heads and within 1e-6 of the exact value.
    ///
    /// # Panics
    /// If `sums` has not [`pairs`]`(heads)` elements.
    pub fn add_divergences(&self, sums: &mut [f64]) {
        assert_eq!(sums.len(), pairs(self.heads), "pairs of {} heads", self.heads);
        if self.queries == 0 {
            return;
        }
        let level = self.level;
        let own: Vec<f64> = (0..self.heads)
            .into_par_iter()
            .map(|head| dispatch!(level, simd => sum_of_sums(simd, self.head(head), self.head(head))))
            .collect();
        let tile = if self.heads < 256 { 8 } else { 16 };
        let tiles = self.heads.div_ceil(tile);
        let blocks: Vec<(usize, usize)> = (0..tiles).flat_map(|a| (0..=a).map(move |b| (a, b))).collect();
        let nats = std::f64::consts::LN_2 / (SCALE * f64::from(self.scale) * self.queries as f64);
        let mixed: Vec<Vec<f64>> = blocks
            .par_iter()
            .map(|&(a, b)| dispatch!(level, simd => self.tile(simd, tile, a * tile, b * tile)))
            .collect();
        for (&(tile_a, tile_b), mixed) in blocks.iter().zip(&mixed) {
            for (i, row) in mixed.chunks_exact(tile).enumerate() {
                let a = tile_a * tile + i;
                for (j, mixed) in row.iter().enumerate() {
                    let b = tile_b * tile + j;
                    if a < self.heads && b < a {
                        let divergence = ((own[a] + own[b]) / 2.0 - mixed) * nats;
                        sums[pair_index(a, b)] += divergence.clamp(0.0, std::f64::consts::LN_2);
                    }
                }
            }
        }
    }

    fn head(&self, head: usize) -> &[f32] {
        &self.data[head * self.stride..(head + 1) * self.stride]
    }

    /// Scaled sums of `m log2 m`, `m` the mean of two heads, for the pairs of two tiles of heads, `[tile, tile]`, 0 where `b >= a`.
    #[inline(always)]
    fn tile<S: Simd>(&self, simd: S, tile: usize, first_a: usize, first_b: usize) -> Vec<f64> {
        let mut sums = vec![0.0; tile * tile];
        for start in (0..self.stride).step_by(RUN) {
            let run = start..(start + RUN).min(self.stride);
            for a in first_a..(first_a + tile).min(self.heads) {
                let p = &self.head(a)[run.clone()];
                for b in first_b..(first_b + tile).min(a) {
                    let q = &self.head(b)[run.clone()];
                    sums[(a - first_a) * tile + b - first_b] += run_of_sums(simd, p, q);
                }
            }
        }
        sums
    }
}

/// Number of pairs of heads.
#[must_use]
pub fn pairs(heads: usize) -> usize {
    heads * heads.saturating_sub(1) / 2
}

/// Where the pair of heads `a > b` stands in a list of all pairs.
#[must_use]
pub fn pair_index(a: usize, b: usize) -> usize {
    a * a.saturating_sub(1) / 2 + b
}

/// The symmetric matrix `[head, head]`, row-major, with zero diagonal, of a list of pairs.
///
/// # Panics
/// If there are fewer than [`pairs`]`(heads)` elements.
#[must_use]
pub fn full_matrix(heads: usize, list: &[f64]) -> Vec<f64> {
    let mut matrix = vec![0.0; heads * heads];
    for a in 0..heads {
        for b in 0..a {
            let value = list[pair_index(a, b)];
            matrix[a * heads + b] = value;
            matrix[b * heads + a] = value;
        }
    }
    matrix
}
