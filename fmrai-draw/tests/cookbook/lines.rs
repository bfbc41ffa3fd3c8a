//! Points, strokes and a line over a common axis.

use fmrai_core::report::figure::{Axis, Figure, Lines, Plot, Series};

pub(crate) fn figure() -> Figure {
    let heads = vec![(0.0, 2.9), (0.0, 0.1), (1.0, 1.4), (1.0, 1.9), (2.0, 1.1), (2.0, 1.6)];
    let names = ["", "L0H1", "", "", "", ""].map(str::to_owned).to_vec();
    let means = vec![(0.0, 1.5), (1.0, 1.65), (2.0, 1.35)];
    let series = vec![
        Series::points("heads", heads).labelled(names),
        Series::levels("mean of the layer", means).with_intervals(vec![(1.1, 1.9), (1.4, 1.9), (1.1, 1.6)]),
        Series::line("earlier checkpoint", vec![(0.0, 2.2), (1.0, 2.1), (2.0, 2.0)]),
    ];
    let plot = Lines::new(Axis::new("layer", None).whole(), Axis::new("entropy", Some("nats")), series)
        .reference("uniform attention", 3.3);
    Figure::single("lines", "Entropy by layer", "Over 200 texts.", Plot::Lines(plot))
}
