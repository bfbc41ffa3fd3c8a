//! What is summed up over texts.

/// For each layer the sum of the changes and of their squares.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) texts: i64,
    pub(super) sum: Vec<f64>,
    pub(super) squares: Vec<f64>,
}

impl Sums {
    pub(super) fn of(layers: usize) -> Self {
        Self { texts: 0, sum: vec![0.0; layers], squares: vec![0.0; layers] }
    }

    pub(super) fn add(&mut self, layer: usize, change: f64) {
        self.sum[layer] += change;
        self.squares[layer] += change * change;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.texts += other.texts;
        self.sum.iter_mut().zip(&other.sum).for_each(|(mine, theirs)| *mine += theirs);
        self.squares.iter_mut().zip(&other.squares).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// Mean and standard error of each layer; the latter is NaN for a single text.
    pub(super) fn means(&self) -> Vec<(f64, f64)> {
        let n = self.texts as f64;
        let each = self.sum.iter().zip(&self.squares).map(|(sum, squares)| {
            let mean = sum / n;
            let variance = ((squares - n * mean * mean) / (n - 1.0)).max(0.0);
            (mean, if self.texts > 1 { (variance / n).sqrt() } else { f64::NAN })
        });
        each.collect()
    }
}
