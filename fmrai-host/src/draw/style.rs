//! Sizes of letters and lines, the same in every picture.

use super::palette::{SOFT_TEXT, TEXT};
use super::scene::{Type, Weight};

pub(super) const TITLE: Type = Type { size: 15.0, weight: Weight::Bold, rgb: TEXT };
pub(super) const PANEL: Type = Type { size: 12.0, weight: Weight::Bold, rgb: TEXT };
pub(super) const CAPTION: Type = Type { size: 11.0, weight: Weight::Regular, rgb: SOFT_TEXT };
pub(super) const AXIS: Type = Type { size: 11.5, weight: Weight::Regular, rgb: TEXT };
pub(super) const TICK: Type = Type { size: 10.0, weight: Weight::Regular, rgb: SOFT_TEXT };
pub(super) const NAME: Type = Type { size: 9.0, weight: Weight::Regular, rgb: SOFT_TEXT };
pub(super) const LEGEND: Type = Type { size: 10.0, weight: Weight::Regular, rgb: TEXT };
pub(super) const LEGEND_TITLE: Type = Type { size: 10.5, weight: Weight::Bold, rgb: TEXT };
pub(super) const CARD: Type = Type { size: 11.5, weight: Weight::Bold, rgb: TEXT };
pub(super) const DETAIL: Type = Type { size: 9.5, weight: Weight::Regular, rgb: SOFT_TEXT };
pub(super) const TOKEN: Type = Type { size: 10.5, weight: Weight::Regular, rgb: TEXT };
pub(super) const POINT: Type = Type { size: 8.0, weight: Weight::Regular, rgb: SOFT_TEXT };

/// Width of axes and ticks.
pub(super) const AXIS_WIDTH: f64 = 1.0;
/// Width of lines that show data.
pub(super) const LINE_WIDTH: f64 = 1.75;
/// Length of a tick.
pub(super) const TICK_LENGTH: f64 = 3.5;
