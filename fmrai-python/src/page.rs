//! What notebooks show: parts of the page of a report, each in a frame of its own.

use std::path::PathBuf;

use fmrai_core::report::{Column, NamedTensor, Report as Found, Table, Values};
use fmrai_core::tensor::TensorValue;
use fmrai_host::report::of_report;
use fmrai_report::model::Model;
use fmrai_report::{Analysis, Document, FORMAT, Failure, framed, html, part_html};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::error::{FmraiError, RunError};
use crate::graph::Graph;
use crate::report::Report;

/// A frame with what the address `only` names, or with all pages: of a graph, of reports, of analyses that failed (name, stage, message), and of
/// what the JSON `run` tells.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call from one place")]
pub(crate) fn frame(
    py: Python<'_>,
    title: String,
    height: u32,
    only: Option<Vec<String>>,
    graph: Option<Py<Graph>>,
    reports: Vec<Py<Report>>,
    failed: Vec<(String, String, String)>,
    run: &str,
) -> PyResult<String> {
    let run: Map<String, Value> = serde_json::from_str(run).map_err(wrong)?;
    py.detach(|| {
        let model = graph.map(|graph| {
            let graph = graph.get();
            Model::of(graph.shown(), &graph.structure)
        });
        let mut notes = Vec::new();
        let mut analyses: Vec<Analysis> =
            reports.iter().map(|report| analysis(report.get(), &mut notes)).collect();
        for (name, stage, message) in failed {
            let failure = Failure { stage, message };
            analyses.push(of_report(&name, "", &Map::new(), Err(failure), &mut notes));
        }
        let status = run.get("status").and_then(Value::as_str).unwrap_or("inspected").to_owned();
        let document = Document { format: FORMAT, title, status, run, model, analyses, notes };
        shown(document, height, only)
    })
}

/// The same of a folder of results.
#[pyfunction]
pub(crate) fn frame_of_folder(
    py: Python<'_>,
    folder: PathBuf,
    height: u32,
    only: Option<Vec<String>>,
) -> PyResult<String> {
    py.detach(|| {
        let document = fmrai_host::report::document(&folder);
        shown(document.map_err(|error| RunError::new_err(error.to_string()))?, height, only)
    })
}

fn shown(document: Document, height: u32, only: Option<Vec<String>>) -> PyResult<String> {
    let title = format!("fMRAi: {}", document.title);
    let page = match only {
        Some(only) => part_html(document, &only.iter().map(String::as_str).collect::<Vec<_>>()),
        None => html(document),
    };
    Ok(framed(&page.map_err(wrong)?, &title, height))
}

fn wrong(error: serde_json::Error) -> PyErr {
    FmraiError::new_err(error.to_string())
}

fn analysis(told: &Report, notes: &mut Vec<String>) -> Analysis {
    let Report { name, kind, fields, report } = told;
    of_report(name, kind, fields, Ok((report, None)), notes)
}

/// The attention of one text as a report, in the form of `attention_view`: its tokens, and probabilities `[layer, head, query, key]` as bytes of
/// floats. Layers with fewer heads than others end with NaN.
#[pyfunction]
pub(crate) fn attention(
    layers: usize,
    heads: usize,
    tokens: Vec<String>,
    probabilities: &[u8],
    summary: &str,
) -> PyResult<Report> {
    let invalid = |error: &dyn std::fmt::Display| PyValueError::new_err(error.to_string());
    let (floats, _) = probabilities.as_chunks::<4>();
    let numbers: Vec<f32> = floats.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect();
    let value = TensorValue::new([layers, heads, tokens.len(), tokens.len()], numbers.into());
    let value = value.map_err(|error| invalid(&error))?;
    let axes = ["layer", "head", "query", "key"];
    let count = i64::try_from(tokens.len()).unwrap_or(i64::MAX);
    let columns = vec![
        Column::new("text", None, Values::Int(vec![0; tokens.len()])),
        Column::new("position", None, Values::Int((0..count).collect())),
        Column::new("shown", None, Values::Text(tokens)),
    ];
    let table = Table::new("tokens", columns).map_err(|error| invalid(&error))?;
    let report = Found {
        summary: serde_json::from_str(summary).map_err(wrong)?,
        tables: vec![table],
        tensors: vec![NamedTensor::new("attention.0", &axes, None, value)],
        ..Found::default()
    };
    Ok(Report { name: "attention".to_owned(), kind: "attention_view".to_owned(), fields: Map::new(), report })
}
