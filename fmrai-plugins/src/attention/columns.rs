//! Columns of tables with a row for each head.

use fmrai_core::report::{Column, Values};

use super::patterns::Statistic;
use fmrai_core::attention::HeadLayout;

/// Columns that name the heads of the rows: `layer` and `head`, from 0 as in the tensors, and `label`.
pub(crate) fn head_columns(layout: &HeadLayout) -> Vec<Column> {
    let (layers, heads) = layout.iter().map(|(l, h)| (l as i64, h as i64)).unzip();
    vec![
        Column::new("layer", None, Values::Int(layers)),
        Column::new("head", None, Values::Int(heads)),
        Column::new("label", None, Values::Text(layout.labels())),
    ]
}

/// One column per statistic, named like its tensor.
pub(crate) fn statistic_columns(known: &[(Statistic, Vec<f64>)]) -> impl Iterator<Item = Column> + '_ {
    known.iter().map(|(statistic, values)| {
        Column::new(&statistic.name(), statistic.unit(), Values::Float(values.clone()))
    })
}
