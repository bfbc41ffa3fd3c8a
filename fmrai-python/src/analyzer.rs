//! Analyzers that are written in Python.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fmrai_core::analyzer::{
    Analysis, Analyzer, AnalyzerConfig, AnalyzerError, ConfigError, ModelView, State,
};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::graph::{TensorId, from_json, to_json};
use fmrai_core::report::{Column, Figure, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::{DataView, TensorData, TensorValue};
use fmrai_core::testing::{Recorded, check_contract};
use fmrai_core::tracker::CaptureRequest;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

use crate::error::AnalysisError;
use crate::graph::Graph;

const NAME: &str = "python";

/// An analyzer written in Python, while it runs in a process of Python.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PythonConfig {
    /// Its class, as `module:Class`.
    class: String,
    /// What the class is called with.
    #[serde(default)]
    settings: Map<String, Value>,
}

fmrai_core::register_analyzer!(PythonConfig, name: "python", summary: "an analyzer that is written in Python");

impl AnalyzerConfig for PythonConfig {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        let settings = Value::Object(self.settings.clone()).to_string();
        let made = Python::attach(|py| {
            py.import("fmrai._analyzer")?.call_method1("make", (&self.class, settings)).map(Bound::unbind)
        });
        let object = made.map_err(|error| ConfigError {
            field: "class",
            found: format!("{:?} ({error})", self.class),
            valid: "a subclass of fmrai.Analyzer, as module:Class, that takes the settings".to_owned(),
        })?;
        Ok(Box::new(PyAnalyzer { object, class: self.class.clone() }))
    }
}

struct PyAnalyzer {
    /// An adapter of `fmrai._analyzer` around the object.
    object: Py<PyAny>,
    class: String,
}

/// A row as Python is shown it.
#[derive(IntoPyObject)]
struct ShownSample {
    id: u64,
    text: Option<String>,
    token_ids: Vec<u32>,
    special: Vec<bool>,
    span: (usize, usize),
    fields: BTreeMap<String, Option<Field>>,
}

/// A further field of a record; null is None.
#[derive(IntoPyObject)]
enum Field {
    Truth(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl Field {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Bool(truth) => Some(Self::Truth(*truth)),
            Value::Number(number) => {
                number.as_i64().map(Self::Int).or_else(|| number.as_f64().map(Self::Float))
            }
            Value::String(text) => Some(Self::Text(text.clone())),
            other => Some(Self::Text(other.to_string())),
        }
    }
}

impl From<&Sample> for ShownSample {
    fn from(sample: &Sample) -> Self {
        Self {
            id: sample.id,
            text: sample.text.as_deref().map(str::to_owned),
            token_ids: sample.token_ids.clone(),
            special: sample.special.clone(),
            span: (sample.span.start, sample.span.end),
            fields: sample.fields.iter().map(|(name, value)| (name.clone(), Field::of(value))).collect(),
        }
    }
}

/// A column: its name, its unit, its cells.
type GivenColumn = (String, Option<String>, Cells);

/// A tensor: its name, the names of its axes, its unit, its sizes, its elements.
type GivenTensor = (String, Vec<String>, Option<String>, Vec<usize>, Vec<f64>);

/// A report as Python gives it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Given {
    summary: String,
    tables: Vec<(String, Vec<GivenColumn>)>,
    tensors: Vec<GivenTensor>,
    figures: Vec<String>,
    gaps: Vec<String>,
}

#[derive(FromPyObject)]
enum Cells {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(Vec<String>),
}

impl PyAnalyzer {
    fn call<T>(
        &self,
        what: impl FnOnce(Python<'_>, &Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Result<T, AnalyzerError> {
        Python::attach(|py| {
            what(py, self.object.bind(py)).map_err(|error| {
                let lines =
                    error.traceback(py).and_then(|traceback| traceback.format().ok()).unwrap_or_default();
                tracing::debug!(%lines, "an analyzer in Python raised");
                AnalyzerError::Other(format!("{}: {error}", self.class))
            })
        })
    }
}

fn elements<'py>(py: Python<'py>, data: DataView<'_>) -> (&'static str, Bound<'py, PyBytes>) {
    fn bytes<const N: usize, T: Copy>(data: &[T], to: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        data.iter().flat_map(|element| to(*element)).collect()
    }
    let (kind, bytes) = match data {
        DataView::F32(data) => ("<f4", bytes(data, f32::to_le_bytes)),
        DataView::F64(data) => ("<f8", bytes(data, f64::to_le_bytes)),
        DataView::I64(data) => ("<i8", bytes(data, i64::to_le_bytes)),
        DataView::I32(data) => ("<i4", bytes(data, i32::to_le_bytes)),
        DataView::U8(data) => ("|u1", data.to_vec()),
    };
    (kind, PyBytes::new(py, &bytes))
}

impl Analyzer for PyAnalyzer {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let other = |error: String| AnalyzerError::Other(error);
        let text = to_json(model.graph).map_err(|error| other(error.to_string()))?;
        let graph = from_json(&text).map_err(|error| other(error.to_string()))?;
        let graph = Graph::with(Arc::new(graph), Arc::new(model.structure.clone()));
        let ids = self.call(|_, object| object.call_method1("prepare", (graph,))?.extract::<Vec<u32>>())?;
        Ok(ids.into_iter().map(TensorId).collect())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        self.call(|py, object| {
            let samples: Vec<ShownSample> = batch.samples().iter().map(ShownSample::from).collect();
            let tensors = PyDict::new(py);
            let wanted: Vec<u32> = object.call_method0("wanted")?.extract()?;
            for id in wanted {
                let view =
                    batch.tensor(TensorId(id)).map_err(|error| AnalysisError::new_err(error.to_string()))?;
                let (kind, bytes) = elements(py, view.data());
                tensors.set_item(id, (kind, view.shape().to_vec(), bytes))?;
            }
            object.call_method1("track_batch", (batch.index(), samples, tensors)).map(drop)
        })
    }
}

impl Analysis for PyAnalyzer {
    fn state(&self) -> Result<State, AnalyzerError> {
        let text: String = self.call(|_, object| object.call_method0("state")?.extract())?;
        let document: Value =
            serde_json::from_str(&text).map_err(|error| AnalyzerError::Other(error.to_string()))?;
        Ok(State::new(NAME, 1, serde_json::json!({ "class": self.class, "state": document })))
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, 1)?;
        state.expect_field("class", &Value::from(self.class.as_str()))?;
        let text = state.document.get("state").unwrap_or(&Value::Null).to_string();
        self.call(|_, object| object.call_method1("merge", (text,)).map(drop))
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        let given: Given = self.call(|_, object| object.call_method0("analyze")?.extract::<Given>())?;
        let wrong = |what: String| AnalyzerError::Other(format!("{}: its report: {what}", self.class));
        let mut report = Report {
            summary: serde_json::from_str(&given.summary).map_err(|error| wrong(error.to_string()))?,
            gaps: given.gaps,
            ..Report::default()
        };
        for (name, columns) in given.tables {
            let columns = columns.into_iter().map(|(name, unit, cells)| {
                let values = match cells {
                    Cells::Int(cells) => Values::Int(cells),
                    Cells::Float(cells) => Values::Float(cells),
                    Cells::Text(cells) => Values::Text(cells),
                };
                Column::new(&name, unit.as_deref(), values)
            });
            let table = Table::new(&name, columns.collect());
            report.tables.push(table.map_err(|error| wrong(error.to_string()))?);
        }
        for (name, axes, unit, shape, numbers) in given.tensors {
            let value = TensorValue::new(shape, TensorData::F64(numbers));
            let value = value.map_err(|error| wrong(format!("tensor {name:?}: {error}")))?;
            let axes: Vec<&str> = axes.iter().map(String::as_str).collect();
            report.tensors.push(NamedTensor::new(&name, &axes, unit.as_deref(), value));
        }
        for figure in given.figures {
            let figure: Figure =
                serde_json::from_str(&figure).map_err(|error| wrong(format!("a figure: {error}")))?;
            report.figures.push(figure);
        }
        Ok(report)
    }
}

/// Drives an analyzer through the contract of analyzers, on captured activations.
#[pyfunction]
pub(crate) fn check_analyzer(
    py: Python<'_>,
    class: String,
    settings: &str,
    activations: PathBuf,
) -> PyResult<()> {
    let settings =
        serde_json::from_str(settings).map_err(|error| AnalysisError::new_err(error.to_string()))?;
    let config = PythonConfig { class, settings };
    py.detach(|| {
        let recorded =
            Recorded::open(&activations).map_err(|error| AnalysisError::new_err(error.to_string()))?;
        let make = || config.build().map_err(|error| error.to_string());
        check_contract(&make, &recorded).map_err(AnalysisError::new_err)
    })
}
