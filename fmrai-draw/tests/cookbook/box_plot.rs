//! Five numbers for each category.

use fmrai_core::report::figure::{Axis, BoxPlot, Figure, Plot};

pub(crate) fn figure() -> Figure {
    let layers = ["0", "1"].map(str::to_owned).to_vec();
    // Minimum, lower quartile, median, upper quartile, maximum.
    let boxes = vec![[1.0, 120.0, 480.0, 760.0, 1000.0], [1.0, 40.0, 210.0, 600.0, 990.0]];
    let plot = BoxPlot::new("layer", layers, Axis::new("rank", None).range(0.0, 1000.0), boxes)
        .reference("median by chance", 500.5);
    Figure::single("rank", "Rank of the next token", "Over the neurons of a layer.", Plot::BoxPlot(plot))
}
