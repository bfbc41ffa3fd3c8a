//! Gradients along a straight line, summed up until they are complete.

use super::quadrature::gauss_legendre;

/// How many nodes an integral is taken with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Steps {
    pub(super) first: usize,
    pub(super) most: usize,
    /// The completeness error that is good enough.
    pub(super) bound: f64,
}

/// Differences below this count as this, so that the error is a number.
const LEAST: f64 = 1e-12;

/// An integral and how complete it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Integral {
    /// `(x − x') ∫ ∂f/∂x dα`, element by element.
    pub(super) elements: Vec<f64>,
    /// Their sum minus the difference `f(x) − f(x')`.
    pub(super) gap: f64,
    /// The magnitude of that as a share of the difference.
    pub(super) error: f64,
    pub(super) steps: usize,
}

/// Shows a gradient of each node: its place among them, and the derivatives.
pub(super) type Show<'s> = dyn FnMut(usize, &[f64]) + 's;

/// A straight line through the inputs of `f`, from a start to an end.
pub(super) trait Line {
    /// Why it cannot be looked at.
    type Error;

    /// Shows the gradient at each of these shares of the way.
    fn gradients(&mut self, shares: &[f64], show: &mut Show<'_>) -> Result<(), Self::Error>;

    /// `f` at each of these shares of the way.
    fn values(&mut self, shares: &[f64]) -> Result<Vec<f64>, Self::Error>;
}

/// Powers of ten down to which it is looked where `f` leaves its value at the start.
const DEEPEST: i32 = 30;

/// Integrates from `start` to `end`, over which `f` grows from `from` to `to`.
///
/// With more than the first nodes these stand at `α = s^p`, `s` those of Gauss and Legendre, which is the same integral along the same line. `p` is the
/// number of powers of ten down to which `f` differs from its value at the start: 1 where nothing happens next to it.
pub(super) fn integrate<L: Line>(
    line: &mut L,
    [start, end]: [&[f64]; 2],
    [from, to]: [f64; 2],
    steps: Steps,
) -> Result<Integral, L::Error> {
    let difference = to - from;
    let mut nodes = steps.first.min(steps.most).max(1);
    let mut best = summed(line, [start, end], difference, nodes, 1)?;
    let mut power = None;
    while best.error > steps.bound && nodes < steps.most {
        nodes = (2 * nodes).min(steps.most);
        let depth = match power {
            Some(depth) => depth,
            None => *power.insert(depth(line, from, steps.bound * difference.abs())?),
        };
        let next = summed(line, [start, end], difference, nodes, depth)?;
        if next.error < best.error {
            best = next;
        }
    }
    Ok(best)
}

/// The power of ten down to which `f` differs from its value at the start by more than `much`, at least 1.
fn depth<L: Line>(line: &mut L, from: f64, much: f64) -> Result<i32, L::Error> {
    let shares: Vec<f64> = (1..=DEEPEST).map(|power| 0.1_f64.powi(power)).collect();
    let values = line.values(&shares)?;
    let differs = (1..).zip(values).filter(|(_, value)| (value - from).abs() > much);
    Ok(differs.map(|(power, _)| power).max().unwrap_or(1))
}

fn summed<L: Line>(
    line: &mut L,
    [start, end]: [&[f64]; 2],
    difference: f64,
    nodes: usize,
    power: i32,
) -> Result<Integral, L::Error> {
    let graded = |(s, weight): (f64, f64)| (s.powi(power), weight * f64::from(power) * s.powi(power - 1));
    let rule: Vec<(f64, f64)> = gauss_legendre(nodes).into_iter().map(graded).collect();
    let shares: Vec<f64> = rule.iter().map(|(share, _)| *share).collect();
    let mut elements = vec![0.0; end.len()];
    line.gradients(&shares, &mut |node, gradient| {
        let weight = rule.get(node).map_or(0.0, |(_, weight)| *weight);
        elements.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += weight * g);
    })?;
    elements.iter_mut().zip(end.iter().zip(start)).for_each(|(sum, (end, start))| *sum *= end - start);
    let gap = elements.iter().sum::<f64>() - difference;
    Ok(Integral { error: gap.abs() / difference.abs().max(LEAST), elements, gap, steps: nodes })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A function with its gradient, along the line from 0.
    struct Known<F, G> {
        f: F,
        gradient: G,
        end: Vec<f64>,
    }

    impl<F: Fn(&[f64]) -> f64, G: Fn(&[f64]) -> Vec<f64>> Known<F, G> {
        fn at(&self, share: f64) -> Vec<f64> {
            self.end.iter().map(|x| share * x).collect()
        }

        fn integral(mut self, steps: Steps) -> Integral {
            let (end, start) = (self.end.clone(), vec![0.0; self.end.len()]);
            let ends = [(self.f)(&start), (self.f)(&end)];
            integrate(&mut self, [&start, &end], ends, steps).unwrap()
        }
    }

    impl<F: Fn(&[f64]) -> f64, G: Fn(&[f64]) -> Vec<f64>> Line for Known<F, G> {
        type Error = Infallible;

        fn gradients(&mut self, shares: &[f64], show: &mut Show<'_>) -> Result<(), Infallible> {
            shares
                .iter()
                .enumerate()
                .for_each(|(node, share)| show(node, &(self.gradient)(&self.at(*share))));
            Ok(())
        }

        fn values(&mut self, shares: &[f64]) -> Result<Vec<f64>, Infallible> {
            Ok(shares.iter().map(|share| (self.f)(&self.at(*share))).collect())
        }
    }

    /// f = x₀³ x₁ at (2, 3): 18 and 6 exactly.
    #[test]
    fn a_polynomial_is_attributed_exactly() {
        for first in [2, 50] {
            let f = |x: &[f64]| x[0].powi(3) * x[1];
            let gradient = |x: &[f64]| vec![3.0 * x[0].powi(2) * x[1], x[0].powi(3)];
            let known = Known { f, gradient, end: vec![2.0, 3.0] };
            let found = known.integral(Steps { first, most: 50, bound: 1e-9 });
            assert!((found.elements[0] - 18.0).abs() < 1e-12 && (found.elements[1] - 6.0).abs() < 1e-12);
            assert!(found.steps == first && found.error < 1e-12, "{found:?}");
        }
    }

    /// RMS norms one after the other, of which each makes of next to nothing something: `x / √(x² + ε)` with a smaller and a smaller ε.
    fn norms(epsilon: f64, steps: Steps) -> Integral {
        let f = move |x: &[f64]| x[0] / (x[0] * x[0] + epsilon).sqrt();
        let gradient = move |x: &[f64]| vec![epsilon / (x[0] * x[0] + epsilon).powf(1.5)];
        Known { f, gradient, end: vec![1.0] }.integral(steps)
    }

    #[test]
    fn what_happens_next_to_the_start_is_found() {
        for epsilon in [1e-2, 1e-6, 1e-20, 1e-40] {
            let found = norms(epsilon, Steps { first: 8, most: 256, bound: 1e-4 });
            let whole = 1.0 / (1.0_f64 + epsilon).sqrt();
            assert!(found.error <= 1e-4 && (found.elements[0] - whole).abs() < 1e-3, "{epsilon}: {found:?}");
        }
    }

    #[test]
    fn what_is_given_up_says_how_far_off_it_is() {
        let found = norms(1e-20, Steps { first: 8, most: 8, bound: 1e-4 });
        assert!(found.steps == 8 && found.error > 0.5, "{found:?}");
        assert!((found.gap.abs() - found.error).abs() < 1e-9);
    }
}
