//! A norm whose scale is kept, backwards.

use ndarray::{Array2, Axis};

use crate::lens::steps::{Rows, mean_and_scale};

/// Of covectors `[row, channel]` behind a norm of `rows` those before it.
pub(super) fn back(
    mut covectors: Array2<f64>,
    rows: &Rows,
    centred: bool,
    eps: f64,
    weight: Option<&[f32]>,
) -> Array2<f64> {
    for (mut covector, row) in covectors.axis_iter_mut(Axis(0)).zip(rows.rows()) {
        if let Some(weight) = weight {
            covector.iter_mut().zip(weight).for_each(|(x, w)| *x *= f64::from(*w));
        }
        let (_, scale) = mean_and_scale(row.as_slice().unwrap_or_default(), centred, eps);
        let mean = if centred { covector.sum() / covector.len() as f64 } else { 0.0 };
        covector.mapv_inplace(|x| (x - mean) / scale);
    }
    covectors
}
