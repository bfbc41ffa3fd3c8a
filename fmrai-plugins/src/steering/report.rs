//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::TensorValue;
use serde_json::{Value, json};

use super::config::{GivenDirection, Positions, SteeringConfig};
use super::figures::{self, Shown};
use super::found::Found;
use crate::sites::Moments;

fn integer(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn means(moments: &[Moments]) -> Vec<f64> {
    moments.iter().map(Moments::mean).collect()
}

/// Where a direction comes from, for captions.
fn origin(config: &SteeringConfig, pairs: f64) -> String {
    let from = match (&config.direction, &config.positions) {
        (Some(GivenDirection::File(file)), _) => {
            return format!("The directions are those of {}.", file.path.display());
        }
        (Some(_), _) => return "The directions are given.".to_owned(),
        (None, Positions::Last) => "at the last token".to_owned(),
        (None, Positions::All) => "of the mean over a text's tokens".to_owned(),
        (None, Positions::Mark(mark)) => format!("of the mean over the tokens of {mark:?}"),
    };
    format!(
        "Directions are means over {pairs} pairs of the stream of the clean text less that of the corrupted one, {from}."
    )
}

pub(super) fn report(config: &SteeringConfig, layers: usize, found: &Found) -> Result<Report, AnalyzerError> {
    let pairs = found.clean.count;
    let directions = found.directions.as_ref().filter(|_| pairs > 0.0);
    let directions = directions.ok_or_else(|| AnalyzerError::NotEnoughData {
        found: "no pair of texts".to_owned(),
        needed: "at least one".to_owned(),
    })?;
    let (strengths, metric) = (&config.strengths, config.metric);
    let mut report = Report::default();
    let places = directions.places().unwrap_or(1);
    let norms: Vec<f64> = (0..places).map(|place| directions.norm(place)).collect();
    let mut tensor = |name: &str, axes: &[&str], unit: Option<&str>, values: Vec<f64>, shape: Vec<usize>| {
        let value = TensorValue::new(shape, values.into())?;
        report.tensors.push(NamedTensor::new(name, axes, unit, value));
        Ok::<(), AnalyzerError>(())
    };
    let value = directions.value();
    let axes: &[&str] = if directions.places().is_some() { &["stream", "channel"] } else { &["channel"] };
    tensor("direction", axes, None, value.f64()?.to_vec(), value.shape().to_vec())?;
    if directions.places().is_some() {
        tensor("norm", &["stream"], None, norms.clone(), vec![places])?;
    }
    tensor("strengths", &["strength"], None, strengths.clone(), vec![strengths.len()])?;
    tensor("clean", &[], metric.unit(), vec![found.clean.mean()], vec![])?;
    tensor("corrupted", &[], metric.unit(), vec![found.corrupted.mean()], vec![])?;
    let cells = vec![layers, strengths.len()];
    tensor("effect", &["layer", "strength"], metric.unit(), means(&found.effect), cells)?;
    tensor("ablated", &["layer"], metric.unit(), means(&found.ablated), vec![layers])?;
    report.tables.push(steered(config, layers, found)?);
    report.tables.push(ablated(config, layers, found)?);
    let shown = Shown {
        metric: metric.title(),
        unit: metric.unit(),
        layers,
        strengths,
        effect: means(&found.effect),
        ablated: means(&found.ablated),
        clean: found.clean.mean(),
        corrupted: found.corrupted.mean(),
        norms: if directions.places().is_some() { &norms } else { &[] },
        origin: origin(config, found.summed),
        pairs,
    };
    report.figures = figures::figures(&shown);
    let mut put = |name: &str, value: Value| report.summary.insert(name.to_owned(), value);
    put("metric", json!(metric));
    put("pairs", json!(pairs as u64));
    put("clean", json!(found.clean.mean()));
    put("corrupted", json!(found.corrupted.mean()));
    if let Some((cell, moments)) = largest(&found.changed) {
        put(
            "strongest_effect",
            json!({
                "layer": cell / strengths.len(), "strength": strengths[cell % strengths.len()],
                "effect": found.effect[cell].mean(), "change": moments.mean(),
            }),
        );
    }
    if let Some((layer, moments)) = largest(&found.lost) {
        let (ablated, change) = (found.ablated[layer].mean(), moments.mean());
        put("strongest_ablation", json!({ "layer": layer, "ablated": ablated, "change": change }));
    }
    let zero: Vec<String> =
        (0..layers).filter(|layer| directions.norm(*layer) == 0.0).map(|layer| layer.to_string()).collect();
    if !zero.is_empty() {
        let what = format!(
            "the two texts have the same stream before layer {} where the direction is taken: there is none to add",
            zero.join(", ")
        );
        put("warnings", json!([what]));
    }
    let errors = ["standard_error", "change_standard_error"];
    let errors =
        ["effect", "ablated"].iter().flat_map(|table| errors.map(|error| format!("{table}.{error}")));
    report.gaps.extend(errors);
    Ok(report)
}

fn largest(changes: &[Moments]) -> Option<(usize, &Moments)> {
    let finite = changes.iter().enumerate().filter(|(_, moments)| moments.mean().is_finite());
    finite.max_by(|a, b| a.1.mean().abs().total_cmp(&b.1.mean().abs()).then(b.0.cmp(&a.0)))
}

/// Columns of means and standard errors.
fn measured(name: &str, unit: Option<&str>, of: &[Moments], change: &[Moments]) -> Vec<Column> {
    let errors = |of: &[Moments]| Values::Float(of.iter().map(Moments::standard_error).collect());
    let counts = of.iter().map(|moments| moments.count as i64).collect();
    vec![
        Column::new(name, unit, Values::Float(means(of))),
        Column::new("standard_error", unit, errors(of)),
        Column::new("change", unit, Values::Float(means(change))),
        Column::new("change_standard_error", unit, errors(change)),
        Column::new("texts", None, Values::Int(counts)),
    ]
}

fn steered(config: &SteeringConfig, layers: usize, found: &Found) -> Result<Table, AnalyzerError> {
    let each = config.strengths.len();
    let rows = 0..layers * each;
    let mut columns = vec![
        Column::new("layer", None, Values::Int(rows.clone().map(|row| integer(row / each)).collect())),
        Column::new("strength", None, Values::Float(rows.map(|row| config.strengths[row % each]).collect())),
    ];
    columns.extend(measured("effect", config.metric.unit(), &found.effect, &found.changed));
    Ok(Table::new("effect", columns)?)
}

fn ablated(config: &SteeringConfig, layers: usize, found: &Found) -> Result<Table, AnalyzerError> {
    let mut columns = vec![Column::new("layer", None, Values::Int((0..layers).map(integer).collect()))];
    columns.extend(measured("ablated", config.metric.unit(), &found.ablated, &found.lost));
    Ok(Table::new("ablated", columns)?)
}
