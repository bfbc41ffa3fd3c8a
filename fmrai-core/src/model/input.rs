//! What a model takes.

use std::fmt;

use serde::Serialize;

use crate::tensor::DType;

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
}

/// `pixel_values (float32, [1 or more, 3, 224, 224])`.
impl fmt::Display for InputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axes = self.axes.as_ref().map(|axes| {
            let axes: Vec<String> = axes.iter().map(ToString::to_string).collect();
            format!("[{}]", axes.join(", "))
        });
        let known: Vec<String> = self.dtype.map(|dtype| dtype.to_string()).into_iter().chain(axes).collect();
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
