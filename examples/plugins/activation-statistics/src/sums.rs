//! What is counted of the neurons.

use fmrai_core::graph::TensorId;

/// A feed-forward block whose activations are read.
pub(crate) struct Layer {
    pub(crate) tensor: TensorId,
    pub(crate) module: String,
    /// Its neurons stand from here on in all lists.
    pub(crate) first: usize,
    pub(crate) neurons: usize,
}

/// What was seen of each neuron, layer by layer.
#[derive(Default, Clone)]
pub(crate) struct Sums {
    pub(crate) tokens: i64,
    pub(crate) sum: Vec<f64>,
    pub(crate) squares: Vec<f64>,
    pub(crate) on: Vec<i64>,
    pub(crate) largest: Vec<f64>,
}

impl Sums {
    pub(crate) fn of(neurons: usize) -> Self {
        Self {
            tokens: 0,
            sum: vec![0.0; neurons],
            squares: vec![0.0; neurons],
            on: vec![0; neurons],
            largest: vec![0.0; neurons],
        }
    }

    /// One token's activations of the neurons from `first` on.
    pub(crate) fn add_row(&mut self, first: usize, row: &[f32], threshold: f64) {
        for (i, x) in (first..).zip(row) {
            let x = f64::from(*x);
            self.sum[i] += x;
            self.squares[i] += x * x;
            self.on[i] += i64::from(x.abs() > threshold);
            self.largest[i] = self.largest[i].max(x.abs());
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.sum.iter_mut().zip(&other.sum).for_each(|(a, b)| *a += b);
        self.squares.iter_mut().zip(&other.squares).for_each(|(a, b)| *a += b);
        self.on.iter_mut().zip(&other.on).for_each(|(a, b)| *a += b);
        self.largest.iter_mut().zip(&other.largest).for_each(|(a, b)| *a = a.max(*b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_parts_are_sums_of_all() {
        let rows = [[0.0f32, 2.0], [0.0, -1.0], [0.0, 0.5]];
        let add = |rows: &[[f32; 2]]| {
            let mut sums = Sums::of(2);
            rows.iter().for_each(|row| sums.add_row(0, row, 0.6));
            sums
        };
        let (all, mut parts) = (add(&rows), add(&rows[..1]));
        parts.add(&add(&rows[1..]));
        assert_eq!((&parts.sum, &parts.on, &parts.largest), (&all.sum, &all.on, &all.largest));
        assert_eq!((all.sum[1], all.squares[1], all.on[1], all.largest[1]), (1.5, 5.25, 2, 2.0));
        assert_eq!(all.on[0], 0);
    }
}
