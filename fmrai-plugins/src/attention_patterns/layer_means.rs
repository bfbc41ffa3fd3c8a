//! Heads of a layer taken together.

use crate::attention::{HeadLayout, LayerHeads};

/// Mean over the heads of each layer that have a value; NaN for a layer without.
pub(super) fn layer_means(layout: &HeadLayout, values: &[f64]) -> Vec<f64> {
    let of = |l: &LayerHeads| {
        let finite = values[l.first..l.first + l.heads].iter().filter(|v| !v.is_nan());
        let (sum, count) = finite.fold((0.0, 0u32), |(sum, count), v| (sum + v, count + 1));
        sum / f64::from(count)
    };
    layout.layers().iter().map(of).collect()
}
