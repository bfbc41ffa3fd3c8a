//! Numeric axes of plots.

use serde::{Deserialize, Serialize};

use crate::json_float;

/// A numeric axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What it measures.
    pub label: String,
    /// Unit, e.g. `nats`; `None` for plain numbers.
    pub unit: Option<String>,
    /// Range shown; taken from the data where absent.
    #[serde(with = "json_float")]
    pub range: Option<(f64, f64)>,
    /// True if the axis counts things (layers), so that ticks stand at whole numbers only.
    pub whole: bool,
}

impl Axis {
    /// An axis whose range follows the data.
    #[must_use]
    pub fn new(label: &str, unit: Option<&str>) -> Self {
        Self { label: label.to_owned(), unit: unit.map(str::to_owned), range: None, whole: false }
    }

    /// The same axis from `min` to `max`.
    #[must_use]
    pub fn range(mut self, min: f64, max: f64) -> Self {
        self.range = Some((min, max));
        self
    }

    /// The same axis with ticks at whole numbers only.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
    }
}
