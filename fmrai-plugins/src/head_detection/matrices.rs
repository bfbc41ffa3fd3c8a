//! Products of the matrices of heads.

use ndarray::{Array2, ArrayView2, s};

/// The matrices of all heads of a layer side by side: `[channel, head · channel of the head]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heads {
    pub(super) all: Array2<f32>,
    pub(super) heads: usize,
}

impl Heads {
    /// Channels of a head.
    pub(super) fn width(&self) -> usize {
        self.all.ncols().checked_div(self.heads).unwrap_or(0)
    }

    /// The matrix of a head, `[channel, channel of the head]`.
    pub(super) fn head(&self, head: usize) -> ArrayView2<'_, f32> {
        let width = self.width();
        self.all.slice(s![.., head * width..(head + 1) * width])
    }

    /// `AᵀA` of each head.
    pub(super) fn grams(&self) -> Vec<Array2<f64>> {
        let gram = |head| {
            let matrix = self.head(head).mapv(f64::from);
            matrix.t().dot(&matrix)
        };
        (0..self.heads).map(gram).collect()
    }
}

/// `‖A X Bᵀ‖` (Frobenius), of `AᵀA` and `BᵀB`.
pub(super) fn norm(a: &Array2<f64>, x: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let left = a.dot(x);
    let right = x.dot(b);
    left.iter().zip(right.iter()).map(|(l, r)| l * r).sum::<f64>().max(0.0).sqrt()
}

/// `‖A Bᵀ‖` of the same.
pub(super) fn norm_of_product(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    a.iter().zip(b.iter()).map(|(a, b)| a * b).sum::<f64>().max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn norms_of_products_are_those_of_the_whole_matrices() {
        let a = array![[1.0_f32, 2.0], [0.5, -1.0], [3.0, 0.0]];
        let b = array![[2.0_f32, 1.0], [0.0, 1.0], [1.0, -2.0]];
        let x = array![[0.5_f64, -1.0], [2.0, 1.0]];
        let [ga, gb] = [&a, &b].map(|m| Heads { all: m.clone(), heads: 1 }.grams().remove(0));
        let [a, b] = [a.mapv(f64::from), b.mapv(f64::from)];
        let frobenius = |m: &Array2<f64>| m.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((norm(&ga, &x, &gb) - frobenius(&a.dot(&x).dot(&b.t()))).abs() < 1e-12);
        assert!((norm_of_product(&ga, &gb) - frobenius(&a.dot(&b.t()))).abs() < 1e-12);
    }

    #[test]
    fn heads_stand_side_by_side() {
        let heads = Heads { all: array![[1.0, 2.0, 3.0, 4.0]], heads: 2 };
        assert_eq!(heads.width(), 2);
        assert_eq!(heads.head(1), array![[3.0, 4.0]]);
    }
}
