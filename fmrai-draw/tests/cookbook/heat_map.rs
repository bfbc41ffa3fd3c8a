//! A matrix in colours.

use fmrai_core::report::figure::{Axis, Figure, HeatMap, Plot};

pub(crate) fn figure() -> Figure {
    let numbers = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>();
    let values = vec![0.05, 0.98, 0.11, 0.07, 0.40, f64::NAN]; // [layer, head], row by row; NaN is missing
    let texts = values.iter().map(|x| if x.is_nan() { String::new() } else { format!("{x:.2}") }).collect();
    let scale = Axis::new("share of attention", None).range(0.0, 1.0);
    let map = HeatMap::new(("layer", numbers(2)), ("head", numbers(3)), values, scale).texts(texts);
    Figure::single("heads", "Previous token", "Mean share of attention over 200 texts.", Plot::HeatMap(map))
}
