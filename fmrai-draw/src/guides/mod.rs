//! What lets readers read a plot: axes, legends, colour scales, marks and their labels.

pub(crate) mod axes;
pub(crate) mod colour_scale;
pub(crate) mod legend;
pub(crate) mod marker;
pub(crate) mod missing;
pub(crate) mod placement;
pub(crate) mod references;
pub(crate) mod ticks;
