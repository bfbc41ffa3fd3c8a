//! Stacked bars.

use fmrai_core::report::figure::{Axis, Bars, Figure, Plot};

pub(crate) fn figure() -> Figure {
    let layers = ["0", "1", "2"].map(str::to_owned).to_vec();
    let plot = Bars::new("layer", layers, Axis::new("share of positions", None).range(0.0, 1.0))
        .group("residual", vec![0.5, 0.6, 0.7])
        .group("feed-forward", vec![0.3, 0.2, 0.1])
        .stacked();
    Figure::single("sources", "Where the prediction comes from", "Over 200 texts.", Plot::Bars(plot))
}
