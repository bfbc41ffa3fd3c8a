//! The report: a tensor, a table and a line over layers.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::figure::{Axis, Figure, Lines, Plot, Series};
use fmrai_core::report::{Column, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::TensorValue;

use super::sums::Sums;

/// Of texts whose last position did not see the tokens of `mark`, in this many layers at a time.
pub(super) fn report(mark: &str, window: usize, sums: &Sums) -> Result<Report, AnalyzerError> {
    if sums.texts == 0 {
        return Err(AnalyzerError::NotEnoughData {
            found: format!("no clean text with a mark {mark:?} before its answer"),
            needed: "at least one".to_owned(),
        });
    }
    let other = |error: &dyn std::fmt::Display| AnalyzerError::Other(error.to_string());
    let means = sums.means();
    let change: Vec<f64> = means.iter().map(|(mean, _)| *mean).collect();
    let errors = means.iter().map(|(_, error)| *error).collect();
    let layers = change.len();
    let columns = vec![
        Column::new("layer", None, Values::Int((0..).take(layers).collect())),
        Column::new("change", None, Values::Float(change.clone())),
        Column::new("standard_error", None, Values::Float(errors)),
    ];
    let value = TensorValue::new([layers], change.clone().into()).map_err(|e| other(&e))?;
    let intervals = means.iter().map(|(mean, error)| (mean - error, mean + error)).collect();
    let points = change.iter().enumerate().map(|(layer, change)| (layer as f64, *change)).collect();
    let mut line = Series::line("", points);
    if sums.texts > 1 {
        line = line.with_intervals(intervals);
    }
    let plot = Plot::Lines(Lines {
        x: Axis::new("layer", None).whole(),
        y: Axis::new("change of the probability of the answer, as a share", None),
        series: vec![line],
        references: vec![("no change".to_owned(), 0.0)],
    });
    let around = match window {
        1 => "one layer".to_owned(),
        window => format!("{window} layers around each"),
    };
    let caption = format!(
        "The last position does not see the tokens of the mark {mark:?} in {around}; mean over {} texts, with standard errors.",
        sums.texts
    );
    let mut report = Report::default().with_gaps(&["layers.standard_error"]);
    report.summary.insert("texts".to_owned(), sums.texts.into());
    report.tables.push(Table::new("layers", columns).map_err(|e| other(&e))?);
    report.tensors.push(NamedTensor::new("change", &["layer"], None, value));
    report.figures.push(Figure::single("change", "Attention knockout", &caption, plot));
    Ok(report)
}
