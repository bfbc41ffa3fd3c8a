//! Gauss-Legendre quadrature on `[0, 1]`.

/// Nodes and weights of the rule with this many nodes, ascending: exact for polynomials below degree `2 n`. The weights sum to 1.
pub(super) fn gauss_legendre(nodes: usize) -> Vec<(f64, f64)> {
    let count = nodes as f64;
    // A root of the Legendre polynomial by Newton's method, from a start that is close to it alone.
    let root = |at: usize| {
        let mut x = (std::f64::consts::PI * (at as f64 + 0.75) / (count + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (value, derivative) = legendre(nodes, x);
            slope = derivative;
            let step = value / derivative;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        (x, slope)
    };
    let mut rule: Vec<(f64, f64)> = (0..nodes)
        .map(|at| {
            let (x, slope) = root(at);
            ((1.0 - x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect();
    rule.sort_by(|a, b| a.0.total_cmp(&b.0));
    rule
}

/// The Legendre polynomial of this degree and its derivative, inside of `(−1, 1)`.
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (0.0, 1.0);
    for n in 0..degree {
        let n = n as f64;
        (before, value) = (value, ((2.0 * n + 1.0) * x * value - n * before) / (n + 1.0));
    }
    (value, degree as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_integrated_exactly() {
        for nodes in [1, 2, 3, 5, 8, 32, 50, 513] {
            let rule = gauss_legendre(nodes);
            assert!(rule.windows(2).all(|pair| pair[0].0 < pair[1].0));
            assert!(rule.iter().all(|(x, weight)| (0.0..1.0).contains(x) && *weight > 0.0));
            for degree in 0..(2 * nodes).min(40) {
                let found: f64 = rule.iter().map(|(x, weight)| weight * x.powi(degree as i32)).sum();
                let wanted = 1.0 / (degree as f64 + 1.0);
                assert!((found - wanted).abs() < 1e-13, "{nodes} nodes, degree {degree}: {found}");
            }
        }
    }

    /// numpy.polynomial.legendre.leggauss(3), on [0, 1].
    #[test]
    fn three_nodes_are_the_known_ones() {
        let rule = gauss_legendre(3);
        let third = 0.6_f64.sqrt() / 2.0;
        for ((x, weight), wanted) in
            rule.iter().zip([(0.5 - third, 5.0 / 18.0), (0.5, 8.0 / 18.0), (0.5 + third, 5.0 / 18.0)])
        {
            assert!((x - wanted.0).abs() < 1e-14 && (weight - wanted.1).abs() < 1e-14);
        }
    }
}
