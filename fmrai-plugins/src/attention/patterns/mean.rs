//! Means that are exact where all numbers are the same.

/// A mean; of equal numbers it is exactly that number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean {
    sum: f64,
    count: u32,
    first: Option<f64>,
    varies: bool,
}

impl Mean {
    pub(super) fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
        self.varies |= *self.first.get_or_insert(value) != value;
    }

    pub(super) fn get(self) -> Option<f64> {
        if self.varies { Some(self.sum / f64::from(self.count)) } else { self.first }
    }
}

/// The mean of finite numbers.
pub(crate) fn mean_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut mean = Mean::default();
    values.filter(|v| v.is_finite()).for_each(|value| mean.add(value));
    mean.get()
}
