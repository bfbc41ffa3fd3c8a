//! Metric multidimensional scaling in the plane: points whose distances are as close as possible to given ones.
//!
//! Minimises the raw stress `sum over i < j of (d_ij - delta_ij)^2` by SMACOF (de Leeuw 1977): each step moves all
//! points to the minimum of a quadratic majorant (the Guttman transform), so that stress never rises. The minimum
//! found is a local one; many starts are made and the best is kept.

use std::f64::consts::TAU;

use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

use super::SolverError;
use super::gram::principal_coordinates;

/// How to search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Random starts; one more is made from classical scaling.
    pub starts: usize,
    /// Most steps of each start.
    pub max_iterations: usize,
    /// A start ends when a step lowers the stress by less than this share of the sum of squared distances.
    pub eps: f64,
    /// Seed of the random starts.
    pub seed: u64,
}

impl Default for Options {
    /// 64 starts of at most 1000 steps, `eps` 1e-10, seed 0.
    fn default() -> Self {
        Self { starts: 64, max_iterations: 1000, eps: 1e-10, seed: 0 }
    }
}

/// Points in the plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// `[point, 2]`: centred, turned to their principal axes (the first has the larger variance), and mirrored so that
    /// the coordinate of largest magnitude on each axis is positive.
    pub coordinates: Vec<[f64; 2]>,
    /// Raw stress, `sum over i < j of (d_ij - delta_ij)^2`.
    pub stress: f64,
    /// Kruskal's stress-1, `sqrt(stress / sum over i < j of d_ij^2)`; 0 where the map is perfect.
    pub normalised_stress: f64,
    /// Steps of the best start.
    pub iterations: usize,
    /// True if the best start ended by [`Options::eps`].
    pub converged: bool,
    /// The best start: 0 is classical scaling, the random ones follow.
    pub start: usize,
}

/// Embeds points with the given distances, `[point, point]`, symmetric with zero diagonal.
///
/// Deterministic for a seed, at any number of threads.
///
/// # Errors
/// [`SolverError`] if classical scaling does not converge, which finite distances do not cause.
pub fn embed(distances: &[f64], points: usize, options: &Options) -> Result<Embedding, SolverError> {
    let squared: Vec<f64> = distances.iter().map(|d| d * d).collect();
    let classical = principal_coordinates(&squared, points, 2)?;
    let classical: Vec<[f64; 2]> = (0..points)
        .map(|i| {
            let axis = |k: usize| classical.coordinates.get(i * classical.dimensions + k).copied();
            [
                if classical.dimensions > 0 { axis(0).unwrap_or(0.0) } else { 0.0 },
                if classical.dimensions > 1 { axis(1).unwrap_or(0.0) } else { 0.0 },
            ]
        })
        .collect();
    let total: f64 = squared.iter().sum::<f64>() / 2.0;
    if total == 0.0 {
        return Ok(Embedding {
            coordinates: vec![[0.0; 2]; points],
            stress: 0.0,
            normalised_stress: 0.0,
            iterations: 0,
            converged: true,
            start: 0,
        });
    }
    let spread = (total / (points * points) as f64).sqrt();
    let runs: Vec<Run> = (0..=options.starts)
        .into_par_iter()
        .map(|start| {
            let from = match start {
                0 => classical.clone(),
                _ => random_start(points, spread, options.seed.wrapping_add(start as u64)),
            };
            descend(distances, from, total, options)
        })
        .collect();
    let best = |best: (usize, Run), (start, run): (usize, Run)| {
        if run.stress < best.1.stress { (start, run) } else { best }
    };
    let (start, Run { mut points, stress, iterations, converged }) =
        runs.into_iter().enumerate().reduce(best).unwrap_or_default();
    canonicalise(&mut points);
    let squared = pairwise(&points).map(|d| d * d).sum::<f64>();
    Ok(Embedding {
        coordinates: points,
        stress,
        normalised_stress: if squared > 0.0 { (stress / squared).sqrt() } else { 0.0 },
        iterations,
        converged,
        start,
    })
}

/// Raw stress of points against distances.
#[must_use]
pub fn raw_stress(coordinates: &[[f64; 2]], distances: &[f64]) -> f64 {
    let n = coordinates.len();
    let given = (0..n).flat_map(|i| (0..i).map(move |j| i * n + j));
    pairwise(coordinates).zip(given).map(|(d, ij)| (d - distances[ij]).powi(2)).sum()
}

/// Distances of all pairs `i > j`.
fn pairwise(points: &[[f64; 2]]) -> impl Iterator<Item = f64> + '_ {
    points.iter().enumerate().flat_map(move |(i, a)| {
        points[..i].iter().map(move |b| ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt())
    })
}

/// Points in a disc of uniform density.
fn random_start(points: usize, spread: f64, seed: u64) -> Vec<[f64; 2]> {
    let mut random = Xoshiro256Plus::seed_from_u64(seed);
    let mut uniform = || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    (0..points)
        .map(|_| {
            let (radius, angle) = (spread * 2.0 * uniform().sqrt(), TAU * uniform());
            [radius * angle.cos(), radius * angle.sin()]
        })
        .collect()
}

#[derive(Default)]
struct Run {
    points: Vec<[f64; 2]>,
    stress: f64,
    iterations: usize,
    converged: bool,
}

/// Steps from one start until stress no longer falls.
fn descend(distances: &[f64], mut points: Vec<[f64; 2]>, total: f64, options: &Options) -> Run {
    let mut moved = points.clone();
    let mut stress = guttman(distances, &points, &mut moved);
    for iterations in 1..=options.max_iterations {
        std::mem::swap(&mut points, &mut moved);
        let lower = guttman(distances, &points, &mut moved);
        let fall = stress - lower;
        stress = lower;
        if fall < options.eps * total {
            return Run { points, stress, iterations, converged: true };
        }
    }
    Run { points, stress, iterations: options.max_iterations, converged: false }
}

/// Writes the Guttman transform of `points` into `moved`, and gives the stress of `points`.
///
/// `moved_i = 1/n sum over j of (delta_ij / d_ij) (x_i - x_j)`, terms with `d_ij = 0` left out.
fn guttman(distances: &[f64], points: &[[f64; 2]], moved: &mut [[f64; 2]]) -> f64 {
    let n = points.len();
    let mut stress = 0.0;
    for (i, (a, moved)) in points.iter().zip(moved).enumerate() {
        let (mut x, mut y, mut row) = (0.0, 0.0, 0.0);
        for (b, &delta) in points.iter().zip(&distances[i * n..(i + 1) * n]) {
            let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
            let d = (dx * dx + dy * dy).sqrt();
            let ratio = if d > 0.0 { delta / d } else { 0.0 };
            x += ratio * dx;
            y += ratio * dy;
            row += (d - delta) * (d - delta);
        }
        *moved = [x / n as f64, y / n as f64];
        stress += row;
    }
    stress / 2.0
}

/// Centres points, turns them to their principal axes and mirrors them into one of the equivalent positions.
fn canonicalise(points: &mut [[f64; 2]]) {
    let n = points.len().max(1) as f64;
    let centre = points.iter().fold([0.0; 2], |c, p| [c[0] + p[0] / n, c[1] + p[1] / n]);
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for p in points.iter_mut() {
        *p = [p[0] - centre[0], p[1] - centre[1]];
        xx += p[0] * p[0];
        xy += p[0] * p[1];
        yy += p[1] * p[1];
    }
    let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
    let (sin, cos) = angle.sin_cos();
    for p in points.iter_mut() {
        *p = [cos * p[0] + sin * p[1], cos * p[1] - sin * p[0]];
    }
    for axis in 0..2 {
        let farthest =
            points.iter().map(|p| p[axis]).fold(0.0, |a: f64, x| if x.abs() > a.abs() { x } else { a });
        if farthest < 0.0 {
            for p in points.iter_mut() {
                p[axis] = -p[axis];
            }
        }
    }
}
