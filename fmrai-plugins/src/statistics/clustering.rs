//! Clusters of points of which only distances are known.
//!
//! The Jensen-Shannon divergence is a squared Euclidean distance: points exist whose squared distances are exactly the
//! divergences (Fuglede and Topsoe 2004), and the mean of such distances is again one. Classical scaling finds the
//! points, and k-means on them minimises the divergence within clusters itself, not that of a distorted map in the
//! plane. The number of clusters is the one of largest mean silhouette over the divergences.

use linfa::DatasetBase;
use linfa::prelude::{Fit, Predict};
use linfa_clustering::KMeans;
use ndarray::Array2;
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;

use super::SolverError;
use super::gram::principal_coordinates;
use super::silhouette::{mean, silhouettes};

/// Most principal axes that k-means sees.
pub const MOST_DIMENSIONS: usize = 32;

/// Starts of k-means for each number of clusters.
const RUNS: usize = 10;

/// A partition of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    /// The cluster of each point: 0 is the largest; of equal ones, that with the smallest point comes first.
    pub ids: Vec<usize>,
    /// Number of clusters.
    pub count: usize,
    /// The silhouette of each point over the given distances.
    pub silhouettes: Vec<f64>,
    /// Number of principal axes that k-means saw.
    pub dimensions: usize,
    /// Share of the total divergence that those axes hold.
    pub explained: f64,
}

/// Clusters points by k-means on the principal coordinates of `divergences`, read as squared distances,
/// `[point, point]`, row-major.
///
/// `wanted` fixes the number of clusters; otherwise it is the one in `2..=most` with the largest mean silhouette (the
/// smallest of equally good ones). Never more clusters than different points; one cluster for fewer than three points
/// if none is wanted. Deterministic for a seed.
///
/// # Errors
/// [`SolverError`] from the solvers, which finite distances do not cause.
pub fn cluster(
    divergences: &[f64],
    points: usize,
    wanted: Option<usize>,
    most: usize,
    seed: u64,
) -> Result<Clusters, SolverError> {
    let space = principal_coordinates(divergences, points, MOST_DIMENSIONS)?;
    let different = different_points(divergences, points);
    let candidates = match wanted {
        Some(k) => k.min(different)..=k.min(different),
        None => 2..=most.min(different).min(points.saturating_sub(1)),
    };
    let one = || vec![0; points];
    let mut best = (f64::NEG_INFINITY, one());
    for k in candidates {
        let ids =
            if k < 2 || space.dimensions == 0 { one() } else { kmeans(&space.coordinates, points, k, seed)? };
        let score = mean(&silhouettes(divergences, &ids));
        if score > best.0 {
            best = (score, ids);
        }
    }
    let ids = by_size(&best.1);
    Ok(Clusters {
        count: ids.iter().max().map_or(0, |&c| c + 1),
        silhouettes: silhouettes(divergences, &ids),
        ids,
        dimensions: space.dimensions,
        explained: space.explained,
    })
}

fn kmeans(coordinates: &[f64], points: usize, k: usize, seed: u64) -> Result<Vec<usize>, SolverError> {
    fn failed(e: impl std::fmt::Display) -> SolverError {
        SolverError::new("k-means", e)
    }
    let dimensions = coordinates.len() / points.max(1);
    let records = Array2::from_shape_vec((points, dimensions), coordinates.to_vec()).map_err(failed)?;
    // The tolerance is an absolute distance of centres: scaled to the spread of the points.
    let spread = records.iter().map(|x| x * x).sum::<f64>().sqrt();
    let data = DatasetBase::from(records);
    let model = KMeans::params_with_rng(k, Xoshiro256Plus::seed_from_u64(seed))
        .n_runs(RUNS)
        .max_n_iterations(1000)
        .tolerance((spread * 1e-9).max(f64::MIN_POSITIVE))
        .fit(&data)
        .map_err(failed)?;
    Ok(model.predict(&data).to_vec())
}

/// Number of points after merging those at distance 0 of each other.
fn different_points(distances: &[f64], points: usize) -> usize {
    (0..points).filter(|&i| distances[i * points..i * points + i].iter().all(|&d| d > 0.0)).count()
}

/// The same partition with ids by size, then by smallest point.
fn by_size(ids: &[usize]) -> Vec<usize> {
    let k = ids.iter().max().map_or(0, |&c| c + 1);
    let mut seen = vec![(0usize, usize::MAX); k];
    for (i, &c) in ids.iter().enumerate() {
        seen[c] = (seen[c].0 + 1, seen[c].1.min(i));
    }
    let mut order: Vec<usize> = (0..k).filter(|&c| seen[c].0 > 0).collect();
    order.sort_by_key(|&c| (std::cmp::Reverse(seen[c].0), seen[c].1));
    let mut rank = vec![0; k];
    for (new, &old) in order.iter().enumerate() {
        rank[old] = new;
    }
    ids.iter().map(|&c| rank[c]).collect()
}
