//! What a model takes.

use std::fmt;
use std::ops::RangeInclusive;

use fmrai_core::tensor::DType;
use serde::Serialize;

/// An input that a model takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputSpec {
    /// Its name, e.g. `input_ids`.
    pub name: String,
    /// Its element type; `None` where the model does not tell. A number is an int64, float64 or bool tensor without axes.
    pub dtype: Option<DType>,
    /// Its axes, outermost first; `None` where the model does not tell.
    pub axes: Option<Vec<Axis>>,
    /// False if the model runs without it.
    pub required: bool,
    /// The numbers that it may hold, both ends included, where the model is known to look each of them up in a table:
    /// token ids below the size of the vocabulary, positions, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<RangeInclusive<i64>>,
}

/// `pixel_values (float32, [1 or more, 3, 224, 224])`, `input_ids (int64, [1 or more, 1 to 512], of 0 to 30521)`.
impl fmt::Display for InputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axes = self.axes.as_ref().map(|axes| {
            let axes: Vec<String> = axes.iter().map(ToString::to_string).collect();
            format!("[{}]", axes.join(", "))
        });
        let values = self.values.as_ref().map(|values| format!("of {} to {}", values.start(), values.end()));
        let dtype = self.dtype.map(|dtype| dtype.to_string());
        let known: Vec<String> = dtype.into_iter().chain(axes).chain(values).collect();
        f.write_str(&self.name)?;
        if known.is_empty() { Ok(()) } else { write!(f, " ({})", known.join(", ")) }
    }
}

/// How long an axis of an input may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// This long.
    Fixed(i64),
    /// From `min` to `max`, both included.
    Range {
        /// Shortest.
        min: i64,
        /// Longest; `None` if there is no limit.
        max: Option<i64>,
    },
}

impl Axis {
    /// True if the axis may be `size` long.
    #[must_use]
    pub fn accepts(self, size: i64) -> bool {
        match self {
            Self::Fixed(fixed) => size == fixed,
            Self::Range { min, max } => size >= min && max.is_none_or(|max| size <= max),
        }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Range { min, max: Some(max) } => write!(f, "{min} to {max}"),
            Self::Range { min, max: None } => write!(f, "{min} or more"),
        }
    }
}
