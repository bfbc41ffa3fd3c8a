//! How close two computations of the same numbers have to be. The only such rule in the project's tests.

use std::fmt;

/// Two numbers agree when `|actual - expected| <= absolute + relative * |expected|`.
///
/// NaN agrees with NaN only, an infinity with itself only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Largest difference allowed near zero, in the unit of the numbers.
    pub absolute: f64,
    /// Further difference allowed, as a share of the expected number.
    pub relative: f64,
}

impl Tolerance {
    /// For statistics accumulated in `f64`: within 1e-6.
    pub const STATISTIC: Self = Self { absolute: 1e-6, relative: 1e-6 };
    /// For activations computed in `f32` by two implementations: within 1e-5.
    pub const ACTIVATION: Self = Self { absolute: 1e-5, relative: 1e-5 };
    /// For the same arithmetic in another order: within 1e-12.
    pub const REORDERED: Self = Self { absolute: 1e-12, relative: 1e-12 };

    /// True when the two numbers agree.
    #[must_use]
    pub fn accepts(&self, actual: f64, expected: f64) -> bool {
        if actual.is_nan() || expected.is_nan() {
            return actual.is_nan() && expected.is_nan();
        }
        if actual.is_infinite() || expected.is_infinite() {
            return actual == expected;
        }
        (actual - expected).abs() <= self.absolute + self.relative * expected.abs()
    }

    /// Compares element by element.
    ///
    /// # Errors
    /// [`Mismatch`] when the lengths differ or any two elements do not agree.
    pub fn check<A, E>(&self, actual: &[A], expected: &[E]) -> Result<(), Mismatch>
    where
        A: Copy + Into<f64>,
        E: Copy + Into<f64>,
    {
        let pairs = || actual.iter().zip(expected).map(|(&a, &e)| (a.into(), e.into()));
        let wrong: Vec<_> = pairs().enumerate().filter(|(_, (a, e))| !self.accepts(*a, *e)).collect();
        if actual.len() == expected.len() && wrong.is_empty() {
            return Ok(());
        }
        Err(Mismatch {
            tolerance: *self,
            lengths: (actual.len(), expected.len()),
            wrong: wrong.len(),
            largest: pairs().map(|(a, e): (f64, f64)| (a - e).abs()).fold(0.0, f64::max),
            first: wrong.into_iter().take(5).map(|(i, (a, e))| (i, a, e)).collect(),
        })
    }
}

/// Where two lists of numbers do not agree.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct Mismatch {
    tolerance: Tolerance,
    lengths: (usize, usize),
    wrong: usize,
    largest: f64,
    first: Vec<(usize, f64, f64)>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lengths.0 != self.lengths.1 {
            return write!(f, "{} numbers, expected {}", self.lengths.0, self.lengths.1);
        }
        write!(
            f,
            "{} of {} numbers differ by more than {:e} + {:e} relative, largest difference {:e};",
            self.wrong, self.lengths.1, self.tolerance.absolute, self.tolerance.relative, self.largest
        )?;
        for (i, a, e) in &self.first {
            write!(f, " [{i}] {a} expected {e};")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_bound_is_the_one_computed() {
        let t = Tolerance { absolute: 0.5, relative: 0.25 };
        assert!(t.accepts(11.0, 10.0));
        assert!(t.accepts(13.0, 10.0));
        assert!(!t.accepts(13.1, 10.0));
        assert!(!t.accepts(-0.6, 0.0));
        // The bound follows the expected number, not the actual one.
        assert!(t.accepts(0.0, 0.6));
        assert!(!t.accepts(0.0, 0.7));
    }

    #[test]
    fn nan_and_infinity_agree_with_themselves_only() {
        let t = Tolerance::STATISTIC;
        assert!(t.accepts(f64::NAN, f64::NAN) && !t.accepts(f64::NAN, 0.0) && !t.accepts(0.0, f64::NAN));
        assert!(t.accepts(f64::INFINITY, f64::INFINITY) && !t.accepts(f64::INFINITY, f64::NEG_INFINITY));
    }

    #[test]
    fn a_mismatch_names_the_first_five_elements() {
        let error = Tolerance::STATISTIC.check(&[0.0; 9], &[1.0; 9]).unwrap_err();
        assert!(error.to_string().contains("9 of 9") && error.to_string().contains("[4]"));
        assert!(!error.to_string().contains("[5]"));
        assert!(Tolerance::STATISTIC.check(&[1.0], &[1.0, 1.0]).is_err());
    }
}
