//! Points in a plane.

use fmrai_core::report::figure::{Axis, Figure, Legend, Plot, Point, Scatter};

pub(crate) fn figure() -> Figure {
    let point =
        |x, y, label, layer, cluster| Point { colour: layer, shape: cluster, ..Point::new(x, y, label) };
    let points = vec![
        point(-0.2, 0.1, "L0H0", 0, 0),
        point(-0.1, 0.2, "L0H1", 0, 0),
        point(0.3, 0.0, "L1H0", 1, 1),
        point(0.2, -0.1, "L1H1", 1, 1),
    ];
    let texts = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let axis = |name: &str| Axis::new(name, Some("nats"));
    let plot = Scatter::new(axis("first axis"), axis("second axis"), points)
        .coloured(Legend::new("layer", texts(&["0", "1"]), true))
        .shaped(Legend::new("cluster", texts(&["0", "1"]), false))
        .equal_aspect();
    Figure::single("map", "Heads by what they look at", "Alike heads lie close.", Plot::Scatter(plot))
}
