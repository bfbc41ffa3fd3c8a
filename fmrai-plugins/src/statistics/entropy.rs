//! Entropy of discrete distributions.

use fearless_simd::{Level, dispatch};

use super::log2::{LANES, RUN, SCALE, run_of_sums};

/// Smallest scaled probability that is kept; a smaller one changes no sum by more than 1e-28 nats.
pub(super) const NEGLIGIBLE: f32 = 1e-30;

/// `2^c` with `c = floor(log2 keys)`: probabilities times this are near 1 where attention is uniform, so that their
/// logarithms are small and nothing is lost to rounding. Powers of two cost no precision.
pub(super) fn row_scale(keys: usize) -> f32 {
    (1u64 << row_bits(keys)) as f32
}

/// The `c` of [`row_scale`].
fn row_bits(keys: usize) -> u32 {
    keys.max(1).ilog2().min(60)
}

/// Entropies of rows, with the memory that they need.
#[derive(Debug)]
pub struct RowEntropy {
    level: Level,
    half: Vec<f32>,
}

impl Default for RowEntropy {
    fn default() -> Self {
        Self { level: Level::new(), half: Vec::new() }
    }
}

impl RowEntropy {
    /// `-sum p ln p` of a row of probabilities, in nats, with 0 ln 0 = 0, within [0, ln n].
    ///
    /// With `smoothing` s it is the entropy of `(1 - s) p + s / n`. Within 1e-6 of the exact value.
    pub fn nats(&mut self, row: &[f32], smoothing: f64) -> f64 {
        let n = row.len();
        if n < 2 {
            return 0.0;
        }
        let scale = row_scale(n);
        let affine = Affine::new(n, smoothing, scale);
        self.half.clear();
        self.half.extend(row.iter().map(|&p| affine.apply(p)));
        self.half.resize(n.next_multiple_of(LANES), 0.0);
        let (level, half) = (self.level, self.half.as_slice());
        let sum =
            dispatch!(level, simd => half.chunks(RUN).map(|run| run_of_sums(simd, run, run)).sum::<f64>());
        let mut mass = [0.0; LANES];
        for lanes in half.as_chunks::<LANES>().0 {
            mass.iter_mut().zip(lanes).for_each(|(mass, &p)| *mass += 2.0 * f64::from(p));
        }
        let mass: f64 = mass.iter().sum();
        let bits = (mass * f64::from(row_bits(n)) - sum / SCALE) / f64::from(scale);
        (bits * std::f64::consts::LN_2).clamp(0.0, (n as f64).ln())
    }
}

/// Smoothing and scaling of one probability: `scale / 2 * ((1 - s) p + s / n)`. The half makes the sum of two the
/// scaled mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Affine {
    factor: f32,
    offset: f32,
}

impl Affine {
    pub(super) fn new(keys: usize, smoothing: f64, scale: f32) -> Self {
        let half = f64::from(scale) / 2.0;
        Self {
            factor: ((1.0 - smoothing) * half) as f32,
            offset: (smoothing / keys.max(1) as f64 * half) as f32,
        }
    }

    #[inline(always)]
    pub(super) fn apply(self, p: f32) -> f32 {
        let x = p * self.factor + self.offset;
        if x < NEGLIGIBLE { 0.0 } else { x }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fmrai_core::tolerance::Tolerance;

    #[test]
    fn entropies_that_are_known() {
        let mut entropy = RowEntropy::default();
        assert_eq!(entropy.nats(&[], 0.0), 0.0);
        assert_eq!(entropy.nats(&[1.0], 0.0), 0.0);
        assert_eq!(entropy.nats(&[0.0, 1.0, 0.0], 0.0), 0.0);
        assert_eq!(entropy.nats(&[0.5, 0.5], 0.0), std::f64::consts::LN_2);
        for n in [3usize, 7, 64, 100, 1000, 5000] {
            let row = vec![1.0 / n as f32; n];
            assert!(Tolerance::STATISTIC.accepts(entropy.nats(&row, 0.0), (n as f64).ln()), "{n}");
            let mut one = vec![0.0; n];
            one[n / 2] = 1.0;
            let (a, b) = (0.9 + 0.1 / n as f64, 0.1 / n as f64);
            let exact = -a * a.ln() - (n - 1) as f64 * b * b.ln();
            assert!(Tolerance::STATISTIC.accepts(entropy.nats(&one, 0.1), exact), "{n}");
        }
    }
}
