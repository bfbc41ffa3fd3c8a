//! How sure a share is.

/// Standard deviations of the normal distribution that hold 95 % of it, half on each side.
const Z: f64 = 1.959_963_984_540_054;

/// The interval of 95 % confidence of a share of which `hits` of `trials` were seen (Wilson 1927), within [0, 1]; all of it without a trial.
#[must_use]
pub fn wilson(hits: usize, trials: usize) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = trials as f64;
    let share = hits as f64 / n;
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    (((middle - half) / whole).max(0.0), ((middle + half) / whole).min(1.0))
}

#[cfg(test)]
mod tests {
    use fmrai_core::tolerance::Tolerance;

    use super::*;

    /// By the formula in 40 decimal digits, with Python's `decimal`.
    #[test]
    fn intervals_are_those_of_the_formula() {
        let close = |found: (f64, f64), expected: (f64, f64)| {
            let close = Tolerance::REORDERED;
            assert!(close.accepts(found.0, expected.0) && close.accepts(found.1, expected.1), "{found:?}");
        };
        close(wilson(3, 1500), (0.000_680_408_471_990_874_2, 0.005_863_804_525_309_888));
        close(wilson(50, 100), (0.403_831_530_365_995_6, 0.596_168_469_634_004_4));
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert!(wilson(0, 100).0 < 1e-15 && wilson(100, 100).1 > 1.0 - 1e-15);
    }
}
