//! Mean, variance and skewness of each neuron, merged by the formulas of Chan, Golub and LeVeque 1979 and, for the
//! third moment, Pébay 2008.

/// For each of some neurons the mean and the sums of squared and cubed differences to it, in `f64`, and how often it was
/// active. The number of coefficients is the same for all of them and kept elsewhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) mean: Vec<f64>,
    pub(super) m2: Vec<f64>,
    pub(super) m3: Vec<f64>,
    pub(super) active: Vec<u64>,
}

impl Moments {
    /// Of no coefficients.
    pub(super) fn new(neurons: usize) -> Self {
        let zeros = || vec![0.0; neurons];
        Self { mean: zeros(), m2: zeros(), m3: zeros(), active: vec![0; neurons] }
    }

    /// Takes in what was seen elsewhere; `n` coefficients here, `m` there. Into nothing it is taken as it is, so that a
    /// stored state is restored to the bit.
    pub(super) fn merge(&mut self, n: u64, other: &Self, m: u64) {
        if m == 0 {
            return;
        }
        if n == 0 {
            self.clone_from(other);
            return;
        }
        let (n, m) = (n as f64, m as f64);
        let total = n + m;
        let ours = self.mean.iter_mut().zip(&mut self.m2).zip(&mut self.m3);
        let theirs = other.mean.iter().zip(&other.m2).zip(&other.m3);
        for (((mean, m2), m3), ((&mean_b, &m2_b), &m3_b)) in ours.zip(theirs) {
            let d = mean_b - *mean;
            let between = d * d * n * m / total;
            *m3 += m3_b + between * d * (n - m) / total + 3.0 * d * (n * m2_b - m * *m2) / total;
            *m2 += m2_b + between;
            *mean += d * m / total;
        }
        for (active, more) in self.active.iter_mut().zip(&other.active) {
            *active = active.saturating_add(*more);
        }
    }
}

/// Variance with divisor `n`; NaN for no coefficients.
pub(super) fn variance(m2: f64, n: u64) -> f64 {
    m2 / n as f64
}

/// `sqrt(n) m3 / m2^1.5`; NaN where the coefficients are all the same.
pub(super) fn skewness(m2: f64, m3: f64, n: u64) -> f64 {
    if m2 > 0.0 { (n as f64).sqrt() * m3 / m2.powf(1.5) } else { f64::NAN }
}
