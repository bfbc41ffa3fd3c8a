//! Sizes of letters and lines, the same in every picture.

use crate::palette::{SOFT_TEXT, TEXT};
use crate::scene::{Type, Weight};

pub(crate) const TITLE: Type = Type { size: 15.0, weight: Weight::Bold, rgb: TEXT };
pub(crate) const PANEL: Type = Type { size: 12.0, weight: Weight::Bold, rgb: TEXT };
pub(crate) const CAPTION: Type = Type { size: 11.0, weight: Weight::Regular, rgb: SOFT_TEXT };
pub(crate) const AXIS: Type = Type { size: 11.5, weight: Weight::Regular, rgb: TEXT };
pub(crate) const TICK: Type = Type { size: 10.0, weight: Weight::Regular, rgb: SOFT_TEXT };
pub(crate) const NAME: Type = Type { size: 9.0, weight: Weight::Regular, rgb: SOFT_TEXT };
pub(crate) const LEGEND: Type = Type { size: 10.0, weight: Weight::Regular, rgb: TEXT };
pub(crate) const LEGEND_TITLE: Type = Type { size: 10.5, weight: Weight::Bold, rgb: TEXT };
pub(crate) const CARD: Type = Type { size: 11.5, weight: Weight::Bold, rgb: TEXT };
pub(crate) const DETAIL: Type = Type { size: 9.5, weight: Weight::Regular, rgb: SOFT_TEXT };
pub(crate) const TOKEN: Type = Type { size: 10.5, weight: Weight::Regular, rgb: TEXT };
pub(crate) const POINT: Type = Type { size: 8.0, weight: Weight::Regular, rgb: SOFT_TEXT };

/// Width of axes and ticks.
pub(crate) const AXIS_WIDTH: f64 = 1.0;
/// Width of lines that show data.
pub(crate) const LINE_WIDTH: f64 = 1.75;
/// Length of a tick.
pub(crate) const TICK_LENGTH: f64 = 3.5;
