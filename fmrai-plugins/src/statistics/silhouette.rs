//! Silhouettes: how much closer a point is to its own cluster than to the next one (Rousseeuw 1987).

/// The silhouette of each point: `(b - a) / max(a, b)`, `a` its mean distance to the other points of its cluster, `b`
/// the smallest mean distance to the points of another cluster. Within [-1, 1]; 0 for the only point of a cluster, and
/// for all points if there is only one cluster.
///
/// `distances` is `[point, point]`, row-major; `clusters` has an id from 0 for each point.
///
/// # Panics
/// If the matrix is smaller than the number of points squared.
#[must_use]
pub fn silhouettes(distances: &[f64], clusters: &[usize]) -> Vec<f64> {
    let n = clusters.len();
    let k = clusters.iter().max().map_or(0, |&c| c + 1);
    let mut sizes = vec![0usize; k];
    for &c in clusters {
        sizes[c] += 1;
    }
    let mut sums = vec![0.0; k];
    clusters
        .iter()
        .enumerate()
        .map(|(i, &own)| {
            sums.fill(0.0);
            for (&c, d) in clusters.iter().zip(&distances[i * n..(i + 1) * n]) {
                sums[c] += d;
            }
            if sizes[own] < 2 {
                return 0.0;
            }
            let a = sums[own] / (sizes[own] - 1) as f64;
            let others = (0..k).filter(|&c| c != own && sizes[c] > 0);
            let b = others.map(|c| sums[c] / sizes[c] as f64).fold(f64::INFINITY, f64::min);
            if b.is_finite() && a.max(b) > 0.0 { (b - a) / a.max(b) } else { 0.0 }
        })
        .collect()
}

/// Mean silhouette of all points; 0 for none.
#[must_use]
pub fn mean(silhouettes: &[f64]) -> f64 {
    silhouettes.iter().sum::<f64>() / silhouettes.len().max(1) as f64
}
