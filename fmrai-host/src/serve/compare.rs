//! Two runs set against each other: every tensor and figure of the same name.

use std::collections::BTreeMap;
use std::path::Path;

use fmrai_core::report::Figure;
use fmrai_core::report::figure::{HeatMap, Plot};
use fmrai_core::tensor::{TensorData, TensorValue, from_safetensors};
use fmrai_report::Document;
use serde_json::{Value, json};

use super::reply::{Refusal, wrong};
use crate::report;

/// Differences of all that both runs have.
pub(super) fn compare(a: &Path, b: &Path) -> Result<Value, Refusal> {
    let documents = [a, b].map(|folder| report::document(folder).map_err(wrong));
    let [one, other] = documents;
    let (one, other) = (one?, other?);
    let mut analyses = Vec::new();
    for analysis in &one.analyses {
        let Some(second) = other.analyses.iter().find(|second| second.name == analysis.name) else {
            continue;
        };
        let tensors = compared_tensors(&a.join(&analysis.name), &b.join(&analysis.name));
        let figures = analysis.figures.iter().filter_map(|figure| {
            let second = second.figures.iter().find(|second| second.name == figure.name)?;
            Some(compared_figures(figure, second))
        });
        let figures: Vec<Value> = figures.collect();
        let fields = fields(&json!(analysis.summary), &json!(second.summary));
        analyses.push(json!({
            "name": analysis.name,
            "type": analysis.kind,
            "same_config": analysis.config == second.config,
            "fields": fields,
            "tensors": tensors,
            "figures": figures,
        }));
    }
    let only = |of: &Document, not: &Document| -> Vec<String> {
        let names = of.analyses.iter().map(|analysis| analysis.name.clone());
        names.filter(|name| not.analyses.iter().all(|analysis| analysis.name != *name)).collect()
    };
    Ok(json!({
        "same_plan": one.run.get("plan") == other.run.get("plan"),
        "same_model": one.run.get("model").map(|m| &m["files"]) == other.run.get("model").map(|m| &m["files"]),
        "same_data": one.run.get("data").map(|d| &d["files"]) == other.run.get("data").map(|d| &d["files"]),
        "same_graph": one.run.get("graph").map(|g| &g["fingerprint"]) == other.run.get("graph").map(|g| &g["fingerprint"]),
        "only_first": only(&one, &other),
        "only_second": only(&other, &one),
        "analyses": analyses,
    }))
}

/// Numbers and texts of two summaries that differ.
fn fields(a: &Value, b: &Value) -> Vec<Value> {
    let (mut first, mut second) = (BTreeMap::new(), BTreeMap::new());
    flat("", a, &mut first);
    flat("", b, &mut second);
    let names = first.keys().chain(second.keys()).collect::<std::collections::BTreeSet<_>>();
    let differ = names.into_iter().filter(|name| first.get(*name) != second.get(*name));
    differ.map(|name| json!({ "name": name, "first": first.get(name), "second": second.get(name) })).collect()
}

fn flat(name: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            let inner =
                |field: &str| if name.is_empty() { field.to_owned() } else { format!("{name}.{field}") };
            fields.iter().for_each(|(field, value)| flat(&inner(field), value, into));
        }
        Value::Array(_) => {}
        value => {
            into.insert(name.to_owned(), value.clone());
        }
    }
}

fn read(folder: &Path) -> BTreeMap<String, TensorValue> {
    let bytes = std::fs::read(folder.join("tensors.safetensors")).unwrap_or_default();
    from_safetensors(&bytes).map(|(tensors, _)| tensors.into_iter().collect()).unwrap_or_default()
}

/// Every tensor of the same name.
fn compared_tensors(a: &Path, b: &Path) -> Vec<Value> {
    let (first, second) = (read(a), read(b));
    let both = first.iter().filter_map(|(name, value)| Some((name, value, second.get(name)?)));
    both.map(|(name, one, other)| {
        let mut line =
            json!({ "name": name, "shape": one.shape(), "same_shape": one.shape() == other.shape() });
        if one.shape() == other.shape() {
            let difference = Difference::of(&numbers(one.data()), &numbers(other.data()));
            line["same"] = json!(one == other || difference.largest == 0.0 && difference.unlike == 0);
            line["max_abs_difference"] = json!(difference.largest);
            line["mean_abs_difference"] = json!(difference.mean);
            line["max_abs_value"] = json!(difference.magnitude);
            line["correlation"] = json!(difference.correlation);
            line["unlike"] = json!(difference.unlike);
        }
        line
    })
    .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a difference is shown with few digits")]
fn numbers(data: &TensorData) -> Vec<f64> {
    match data {
        TensorData::F32(d) => d.iter().map(|x| f64::from(*x)).collect(),
        TensorData::F64(d) => d.clone(),
        TensorData::I64(d) => d.iter().map(|x| *x as f64).collect(),
    }
}

/// How two lists of numbers differ, those that are not finite in both left out.
#[derive(Debug, PartialEq)]
struct Difference {
    largest: f64,
    mean: f64,
    magnitude: f64,
    /// Pearson's; absent where one of them does not vary.
    correlation: Option<f64>,
    /// How many are finite in one of them alone.
    unlike: usize,
}

impl Difference {
    #[expect(clippy::cast_precision_loss, reason = "numbers of elements")]
    fn of(a: &[f64], b: &[f64]) -> Self {
        let unlike = a.iter().zip(b).filter(|(a, b)| a.is_finite() != b.is_finite()).count();
        let both: Vec<(f64, f64)> =
            a.iter().zip(b).map(|(a, b)| (*a, *b)).filter(|(a, b)| a.is_finite() && b.is_finite()).collect();
        let n = both.len().max(1) as f64;
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| both.iter().map(of).sum::<f64>() / n;
        let (ma, mb) = (mean(&|p| p.0), mean(&|p| p.1));
        let (va, vb) = (mean(&|p| (p.0 - ma).powi(2)), mean(&|p| (p.1 - mb).powi(2)));
        let covariance = mean(&|p| (p.0 - ma) * (p.1 - mb));
        let spread = (va * vb).sqrt();
        let most = |of: &dyn Fn(&(f64, f64)) -> f64| both.iter().map(of).fold(0.0, f64::max);
        Self {
            largest: most(&|p| (p.0 - p.1).abs()),
            mean: mean(&|p| (p.0 - p.1).abs()),
            magnitude: most(&|p| p.0.abs().max(p.1.abs())),
            correlation: (spread > 0.0).then(|| covariance / spread),
            unlike,
        }
    }
}

/// Two figures, and the one of their difference where they are heat maps of the same cells.
fn compared_figures(one: &Figure, other: &Figure) -> Value {
    let mut line = json!({ "name": one.name, "title": one.title, "same": one == other });
    if one == other {
        return line;
    }
    line["first"] = json!(one);
    line["second"] = json!(other);
    let panels: Option<Vec<_>> = match one.panels.len() == other.panels.len() {
        true => one
            .panels
            .iter()
            .zip(&other.panels)
            .map(|(a, b)| difference(&a.plot, &b.plot).map(|plot| (a, plot)))
            .collect(),
        false => None,
    };
    if let Some(panels) = panels.filter(|panels| !panels.is_empty()) {
        let mut figure = one.clone();
        figure.name = format!("{}_difference", one.name);
        figure.title = format!("{}: second less first", one.title);
        figure.panels = panels
            .into_iter()
            .map(|(panel, plot)| fmrai_core::report::figure::Panel { title: panel.title.clone(), plot })
            .collect();
        line["difference"] = json!(figure);
    }
    line
}

fn difference(a: &Plot, b: &Plot) -> Option<Plot> {
    let (Plot::HeatMap(a), Plot::HeatMap(b)) = (a, b) else { return None };
    if a.rows != b.rows || a.columns != b.columns {
        return None;
    }
    let mut scale = a.scale.clone();
    scale.label = format!("difference of {}", scale.label);
    scale.range = None;
    let values = a.values.iter().zip(&b.values).map(|(a, b)| b - a).collect();
    Some(Plot::HeatMap(HeatMap { values, scale, diverging: true, texts: Vec::new(), ..a.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_leave_out_what_both_lack() {
        let found = Difference::of(&[1.0, 2.0, f64::NAN, f64::NAN, 5.0], &[1.0, 4.0, f64::NAN, 3.0, 5.0]);
        assert_eq!((found.largest, found.magnitude, found.unlike), (2.0, 5.0, 1));
        assert!((found.mean - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(Difference::of(&[1.0, 1.0], &[1.0, 2.0]).correlation, None);
        let turned = Difference::of(&[1.0, 2.0, 3.0], &[-1.0, -2.0, -3.0]).correlation.unwrap();
        assert!((turned + 1.0).abs() < 1e-12);
    }

    #[test]
    fn fields_that_differ_are_named_with_their_path() {
        let found =
            fields(&json!({ "a": 1, "b": { "c": 2, "d": "x" } }), &json!({ "a": 1, "b": { "c": 3 } }));
        assert_eq!(
            found,
            [
                json!({ "name": "b.c", "first": 2, "second": 3 }),
                json!({ "name": "b.d", "first": "x", "second": null })
            ]
        );
    }
}
