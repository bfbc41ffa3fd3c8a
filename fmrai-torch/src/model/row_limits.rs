//! How many rows a model takes.

use super::input::Axis;
use super::loaded::Model;

/// How many rows a model takes, as its inputs tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLimits {
    /// The only number, where there is one.
    pub fixed: Option<usize>,
    /// The least number.
    pub least: usize,
    /// The largest number.
    pub most: usize,
}

impl RowLimits {
    /// Of a model whose inputs of the names in `whole` are given whole: their axis 0 does not run over the rows.
    #[must_use]
    pub fn of(model: &dyn Model, whole: &[String]) -> Self {
        let size = |size: i64| usize::try_from(size).ok();
        let mut limits = Self { fixed: None, least: 1, most: usize::MAX };
        for spec in model.inputs().iter().filter(|spec| !whole.contains(&spec.name)) {
            let (least, most) = match spec.axes.as_ref().and_then(|axes| axes.first()) {
                Some(Axis::Fixed(rows)) => {
                    limits.fixed = limits.fixed.or(size(*rows));
                    (size(*rows), size(*rows))
                }
                Some(Axis::Range { min, max }) => (size(*min), max.and_then(size)),
                None => (None, None),
            };
            limits.least = limits.least.max(least.unwrap_or(1));
            limits.most = limits.most.min(most.unwrap_or(usize::MAX));
        }
        limits
    }
}
