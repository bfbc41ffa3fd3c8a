//! Which heads raise the logits of the tokens that they look at.

use nalgebra::{DMatrix, Schur};
use ndarray::{Array2, Axis, concatenate, s};
use rayon::prelude::*;

use super::matrices::Heads;

/// Columns that a thread works on, and tokens that are summed up in float32.
const COLUMNS: usize = 256;
const TOKENS: usize = 2048;

/// Iterations for each eigenvalue after which they are given up; a few are usual.
const ITERATIONS: usize = 100;

/// `W_Uᵀ W_E`, `[channel, channel]`: of both matrices `[token, channel]`, over the tokens that both have.
pub(super) fn through_vocabulary(map: &Array2<f32>, table: &Array2<f32>) -> Array2<f64> {
    let tokens = map.nrows().min(table.nrows());
    let starts: Vec<usize> = (0..table.ncols()).step_by(COLUMNS).collect();
    let blocks: Vec<Array2<f64>> = starts
        .par_iter()
        .map(|&start| {
            let columns = start..(start + COLUMNS).min(table.ncols());
            let mut sum = Array2::zeros((map.ncols(), columns.len()));
            for first in (0..tokens).step_by(TOKENS) {
                let rows = first..(first + TOKENS).min(tokens);
                let part = map.slice(s![rows.clone(), ..]).t().dot(&table.slice(s![rows, columns.clone()]));
                sum.zip_mut_with(&part, |sum: &mut f64, part| *sum += f64::from(*part));
            }
            sum
        })
        .collect();
    let views: Vec<_> = blocks.iter().map(Array2::view).collect();
    concatenate(Axis(1), &views).unwrap_or_else(|_| Array2::zeros((map.ncols(), 0)))
}

/// `Σλ / Σ|λ|` of each head: of the eigenvalues of `W_O W_U W_E W_V`. NaN where they are all 0 or were not found.
pub(super) fn scores(value: &Heads, output: &Heads, inner: &Array2<f64>) -> Result<Vec<f64>, String> {
    if inner.dim() != (output.all.nrows(), value.all.nrows()) || value.width() != output.width() {
        return Err(format!(
            "heads map {} channels to {}, tokens have {} and logits {}",
            value.all.nrows(),
            output.all.nrows(),
            inner.ncols(),
            inner.nrows()
        ));
    }
    let read = inner.dot(&value.all.mapv(f64::from));
    let width = value.width();
    let of_head = |head: usize| {
        let read = read.slice(s![.., head * width..(head + 1) * width]);
        copying(&output.head(head).mapv(f64::from).t().dot(&read))
    };
    Ok((0..value.heads).map(of_head).collect())
}

/// `Σλ / Σ|λ|` of a matrix; NaN where its eigenvalues are all 0 or were not found.
fn copying(matrix: &Array2<f64>) -> f64 {
    let largest = matrix.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    if !(largest.is_finite() && largest > 0.0) {
        return f64::NAN;
    }
    // Of about 1, so that nothing underflows.
    let scaled = matrix.iter().map(|x| x / largest);
    let scaled = DMatrix::from_row_iterator(matrix.nrows(), matrix.ncols(), scaled);
    let trace = scaled.trace();
    let Some(schur) = Schur::try_new(scaled, f64::EPSILON, ITERATIONS * matrix.nrows()) else {
        return f64::NAN;
    };
    let sizes: f64 = schur.complex_eigenvalues().iter().map(|λ| λ.re.hypot(λ.im)).sum();
    trace / sizes
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn eigenvalues_of_known_matrices() {
        // A rotation by 90 degrees: ±i.
        assert!(copying(&array![[0.0, -1.0], [1.0, 0.0]]).abs() < 1e-12);
        assert!((copying(&array![[2.0, 7.0], [0.0, 1.0]]) - 1.0).abs() < 1e-12);
        assert!((copying(&array![[3.0, 1.0], [0.0, -1.0]]) - 0.5).abs() < 1e-12);
        // 1 ± 2i: 2 / (2 √5).
        assert!((copying(&array![[1.0, -2.0], [2.0, 1.0]]) - 1.0 / 5_f64.sqrt()).abs() < 1e-12);
        assert!(copying(&Array2::zeros((3, 3))).is_nan());
        assert!((copying(&array![[1e-200, 0.0], [0.0, 1e-200]]) - 1.0).abs() < 1e-12);
    }

    /// The small matrix has the eigenvalues of the one over the vocabulary that are not 0.
    #[test]
    fn the_small_matrix_says_what_the_large_one_does() {
        let number = |i: usize| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
        let matrix = |rows: usize, columns: usize, from: usize| {
            Array2::from_shape_fn((rows, columns), |(r, c)| number(from + r * columns + c))
        };
        let [map, table] = [matrix(9, 4, 0), matrix(9, 4, 500)];
        let [value, output] = [matrix(4, 2, 900), matrix(4, 2, 1300)];
        let all = table.dot(&value).dot(&output.t()).dot(&map.t()).mapv(f64::from);
        let [value, output] = [value, output].map(|all| Heads { all, heads: 1 });
        let small = scores(&value, &output, &through_vocabulary(&map, &table)).unwrap();
        assert!((small[0] - copying(&all)).abs() < 1e-4, "{small:?} {}", copying(&all));
    }
}
