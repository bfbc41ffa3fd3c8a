//! Classical scaling: coordinates from squared distances.

use linfa_linalg::eigh::{EigSort, Eigh};
use ndarray::Array2;

use super::SolverError;

/// Coordinates along principal axes.
#[derive(Debug, Clone, PartialEq)]
pub struct PrincipalCoordinates {
    /// `[point, dimension]`, axes of larger variance first.
    pub coordinates: Vec<f64>,
    /// Number of axes, at most as many as asked for: axes without variance are left out.
    pub dimensions: usize,
    /// Share of the variance that the axes hold, within [0, 1]; 1 where there is none.
    pub explained: f64,
}

/// Coordinates whose squared Euclidean distances are as given, along at most `most` principal axes: eigenvectors of
/// `-1/2 J D J`, `J` the centring matrix, times the roots of their eigenvalues. Negative eigenvalues, which distances
/// that are not Euclidean have, are left out.
///
/// `squared` is `[point, point]`, row-major, symmetric with zero diagonal.
///
/// # Errors
/// [`SolverError`] if the eigenvalue solver fails, or if the matrix has not `points * points` elements.
pub fn principal_coordinates(
    squared: &[f64],
    points: usize,
    most: usize,
) -> Result<PrincipalCoordinates, SolverError> {
    let empty = PrincipalCoordinates { coordinates: Vec::new(), dimensions: 0, explained: 1.0 };
    if points == 0 {
        return Ok(empty);
    }
    let failed = |e: &dyn std::fmt::Display| SolverError::new("classical scaling", e);
    let mut gram = Array2::from_shape_vec((points, points), squared.to_vec()).map_err(|e| failed(&e))?;
    let n = points as f64;
    let means: Vec<f64> = gram.rows().into_iter().map(|row| row.sum() / n).collect();
    let mean = means.iter().sum::<f64>() / n;
    for ((i, j), x) in gram.indexed_iter_mut() {
        *x = -0.5 * (*x - means[i] - means[j] + mean);
    }
    let largest = gram.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
    if largest == 0.0 {
        return Ok(empty);
    }
    let (values, vectors) = gram.eigh().map_err(|e| failed(&e))?.sort_eig_desc();
    let noise = largest * n * f64::EPSILON;
    let positive = values.iter().take_while(|v| **v > noise).count();
    let dimensions = positive.min(most);
    let variance: f64 = values.iter().take(positive).sum();
    let kept: f64 = values.iter().take(dimensions).sum();
    let mut coordinates = vec![0.0; points * dimensions];
    for (k, (value, vector)) in values.iter().zip(vectors.columns()).take(dimensions).enumerate() {
        for (i, x) in vector.iter().enumerate() {
            coordinates[i * dimensions + k] = x * value.sqrt();
        }
    }
    let explained = if variance > 0.0 { kept / variance } else { 1.0 };
    Ok(PrincipalCoordinates { coordinates, dimensions, explained })
}
