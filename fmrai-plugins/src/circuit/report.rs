//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::figure::{Axis, Figure, Lines, Plot, Series};
use fmrai_core::report::{Column, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::TensorValue;
use serde_json::{Value, json};

use super::config::{CircuitConfig, Method};
use super::dot::dot;
use super::found::{Circuit, Found, count};
use super::picture::picture;
use super::select::area;
use super::wiring::Wiring;

/// Edges named in the summary.
const STRONGEST: usize = 10;
/// Edges up to which a circuit is written and drawn as a graph.
const MOST_DRAWN: usize = 1000;

pub(super) fn report(
    config: &CircuitConfig,
    wiring: &Wiring,
    found: &Found,
) -> Result<Report, AnalyzerError> {
    let unit = config.metric.unit();
    let pairs = found.totals.pairs;
    let mut report = Report::default();
    let mut tensor = |name: &str, axes: &[&str], unit: Option<&str>, values: Vec<f64>| {
        let shape = if axes.is_empty() { vec![] } else { vec![values.len()] };
        let value = TensorValue::new(shape, values.into())?;
        report.tensors.push(NamedTensor::new(name, axes, unit, value));
        Ok::<_, AnalyzerError>(())
    };
    tensor("clean", &[], unit, vec![found.totals.clean / pairs])?;
    tensor("corrupted", &[], unit, vec![found.totals.corrupted / pairs])?;
    tensor("scores", &["edge"], unit, found.scores.clone())?;
    if !found.curve.is_empty() {
        let mut curve = |name: &str, unit, of: &dyn Fn(usize) -> f64| {
            tensor(name, &["fraction"], unit, (0..found.curve.len()).map(of).collect())
        };
        curve("fractions", None, &|at| found.curve[at].fraction)?;
        curve("edges", None, &|at| found.curve[at].edges as f64)?;
        curve("edges.left", None, &|at| found.curve[at].left as f64)?;
        curve("metric", unit, &|at| found.curve[at].metric)?;
        curve("faithfulness", None, &|at| found.curve[at].faithfulness)?;
    }
    report.tables.push(edges(wiring, found, unit)?);
    if !found.curve.is_empty() {
        report.tables.push(curve_table(found, unit)?);
        report.figures.push(curve_figure(config, found));
    }
    let summary = &mut report.summary;
    summary.insert("method".to_owned(), json!(config.method));
    summary.insert("metric".to_owned(), json!(config.metric));
    summary.insert("pairs".to_owned(), json!(pairs));
    summary.insert("clean".to_owned(), json!(found.totals.clean / pairs));
    summary.insert("corrupted".to_owned(), json!(found.totals.corrupted / pairs));
    summary.insert("nodes".to_owned(), json!(wiring.graph.nodes.len()));
    summary.insert("edges".to_owned(), json!(wiring.graph.edges.len()));
    if !found.curve.is_empty() {
        let fractions: Vec<f64> = found.curve.iter().map(|point| point.fraction).collect();
        let cpr = area(&fractions, |at| found.curve[at].faithfulness);
        let cmd = area(&fractions, |at| (1.0 - found.curve[at].faithfulness).abs());
        summary.insert("cpr".to_owned(), json!(cpr.is_finite().then_some(cpr)));
        summary.insert("cmd".to_owned(), json!(cmd.is_finite().then_some(cmd)));
    }
    summary.insert("strongest".to_owned(), strongest(wiring, found));
    let warnings = warnings(config, wiring, found);
    if !warnings.is_empty() {
        summary.insert("warnings".to_owned(), json!(warnings));
    }
    if let Some(circuit) = &found.circuit {
        let (told, drawn) = (told(wiring, circuit), count(&circuit.edges) <= MOST_DRAWN);
        summary.insert("circuit".to_owned(), told);
        if drawn {
            let text = dot(&wiring.graph, &circuit.edges, &found.scores);
            summary.insert("dot".to_owned(), json!(text));
            report.figures.push(picture(config, wiring, found, circuit));
        }
    }
    if config.method == Method::Acdc {
        // Edges that lead nowhere any more are not tried.
        report.gaps.extend(["scores", "edges.score"].map(str::to_owned));
    }
    // Where the texts hardly differ, which a warning says.
    Ok(report.with_gaps(&["faithfulness", "faithfulness.faithfulness"]))
}

fn warnings(config: &CircuitConfig, wiring: &Wiring, found: &Found) -> Vec<String> {
    let mut warnings = Vec::new();
    if found.totals.faithfulness(0.0).is_nan() {
        warnings.push(
            "the clean and the corrupted texts hardly differ in the metric: no circuit has a faithfulness"
                .to_owned(),
        );
    }
    if wiring.grouped {
        warnings.push(
            "heads share keys and values that the model does not repeat: these are one destination for all of them, called a0.g0<k>"
                .to_owned(),
        );
    }
    let none = found.circuit.as_ref().is_none_or(|circuit| circuit.chosen == wiring.graph.edges.len());
    if let Some(target) = config.faithfulness.filter(|_| none && config.method != Method::Acdc) {
        warnings.push(format!(
            "no circuit that was measured is smaller than all edges and has a faithfulness of {target}"
        ));
    }
    warnings
}

fn names(wiring: &Wiring, edge: usize) -> [String; 2] {
    let (node, destination) = wiring.graph.edges[edge];
    [wiring.graph.name(node), wiring.graph.destinations[destination].name.clone()]
}

fn told(wiring: &Wiring, circuit: &Circuit) -> Value {
    let alive = wiring.graph.alive(&circuit.edges);
    let nodes: Vec<String> =
        (0..alive.len()).filter(|node| alive[*node]).map(|node| wiring.graph.name(node)).collect();
    json!({
        "edges": count(&circuit.edges),
        "chosen": circuit.chosen,
        "share_of_edges": circuit.chosen as f64 / wiring.graph.edges.len().max(1) as f64,
        "faithfulness": circuit.faithfulness.is_finite().then_some(circuit.faithfulness),
        "nodes": nodes,
    })
}

fn strongest(wiring: &Wiring, found: &Found) -> Value {
    let mut edges: Vec<usize> =
        (0..found.scores.len()).filter(|edge| found.scores[*edge].is_finite()).collect();
    edges.sort_by(|a, b| found.scores[*b].abs().total_cmp(&found.scores[*a].abs()));
    let edges = edges.into_iter().take(STRONGEST);
    edges.map(|edge| json!({ "edge": names(wiring, edge).join("->"), "score": found.scores[edge] })).collect()
}

fn edges(wiring: &Wiring, found: &Found, unit: Option<&str>) -> Result<Table, AnalyzerError> {
    let count = wiring.graph.edges.len();
    let (sources, destinations): (Vec<String>, Vec<String>) =
        (0..count).map(|edge| names(wiring, edge).into()).unzip();
    let within = found.circuit.as_ref().map(|circuit| &circuit.edges);
    let within = (0..count).map(|edge| i64::from(within.is_some_and(|within| within[edge]))).collect();
    Ok(Table::new(
        "edges",
        vec![
            Column::new("source", None, Values::Text(sources)),
            Column::new("destination", None, Values::Text(destinations)),
            Column::new("score", unit, Values::Float(found.scores.clone())),
            Column::new("in_circuit", None, Values::Int(within)),
        ],
    )?)
}

fn curve_table(found: &Found, unit: Option<&str>) -> Result<Table, AnalyzerError> {
    let float = |of: fn(&super::found::Point) -> f64| Values::Float(found.curve.iter().map(of).collect());
    let whole = |of: fn(&super::found::Point) -> usize| {
        Values::Int(found.curve.iter().map(|point| i64::try_from(of(point)).unwrap_or(i64::MAX)).collect())
    };
    Ok(Table::new(
        "faithfulness",
        vec![
            Column::new("fraction", None, float(|point| point.fraction)),
            Column::new("edges", None, whole(|point| point.edges)),
            Column::new("edges_left", None, whole(|point| point.left)),
            Column::new("metric", unit, float(|point| point.metric)),
            Column::new("faithfulness", None, float(|point| point.faithfulness)),
        ],
    )?)
}

fn curve_figure(config: &CircuitConfig, found: &Found) -> Figure {
    let points = found.curve.iter().map(|point| (point.fraction, point.faithfulness));
    let points: Vec<(f64, f64)> = points.filter(|(_, faithfulness)| faithfulness.is_finite()).collect();
    let wanted = config.faithfulness.map(|target| ("wanted".to_owned(), target));
    let plot = Plot::Lines(Lines {
        x: Axis::new("share of edges", None),
        y: Axis::new("faithfulness", None),
        series: vec![Series::line("circuits", points.clone()), Series::points("measured", points)],
        references: [("all edges".to_owned(), 1.0)].into_iter().chain(wanted).collect(),
    });
    let caption = format!(
        "Circuits of the edges with the best scores, by {}: the {} as a share of the way from the corrupted text (0) to the clean one (1). \
         Mean of {} pairs.",
        config.method.title(),
        config.metric.title(),
        found.totals.pairs
    );
    Figure::single("faithfulness", "Faithfulness of circuits by their size", &caption, plot)
}
