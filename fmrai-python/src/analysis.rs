//! Methods on live models.

use std::sync::{Arc, Mutex, PoisonError};

use fmrai_core::analyzer::{AnalyzerError, Method, ModelView, RegisteredConfig, Registry, State, Weights};
use fmrai_core::batch::Batch;
use fmrai_core::graph::RecordedGraph;
use fmrai_torch::capture::Kept;
use fmrai_torch::model::LoadedWeights;
use pyo3::prelude::*;
use serde_json::{Map, Value, json};

use crate::error::{AnalysisError, ConfigError};
use crate::graph::Graph;
use crate::model::PyModel;
use crate::pass::Pass;
use crate::report::Report;
use crate::samples::{Row, samples};
use crate::tokenizer::Tokenizer;

/// All methods that are linked in, as JSON: name, summary, schema of the settings, whether it drives the model, where it comes from.
#[pyfunction]
pub(crate) fn analyses() -> PyResult<String> {
    let registry = Registry::linked().map_err(|error| ConfigError::new_err(error.to_string()))?;
    let all = registry.iter().map(|entry| {
        json!({
            "name": entry.about.name,
            "summary": entry.about.summary,
            "schema": (entry.about.schema)(),
            "drives_model": entry.drives_model,
            "origin": entry.about.origin,
        })
    });
    Ok(Value::from_iter(all).to_string())
}

/// The config of a method, from its name and the JSON of its settings.
pub(crate) fn config(
    kind: &str,
    settings: &str,
) -> PyResult<(Box<dyn RegisteredConfig>, Map<String, Value>)> {
    let wrong = |what: String| ConfigError::new_err(format!("{kind}: {what}"));
    let mut document: Map<String, Value> =
        serde_json::from_str(settings).map_err(|error| wrong(error.to_string()))?;
    document.insert("type".to_owned(), kind.into());
    let config: Box<dyn RegisteredConfig> =
        serde_json::from_value(Value::Object(document)).map_err(|error| wrong(error.to_string()))?;
    let whole = serde_json::to_value(&config).map_err(|error| wrong(error.to_string()))?;
    let mut fields = if let Value::Object(fields) = whole { fields } else { Map::new() };
    fields.remove("type");
    Ok((config, fields))
}

/// All settings of a method, as JSON: those that are given, and the defaults of the others.
#[pyfunction]
pub(crate) fn settings(kind: &str, given: &str) -> PyResult<String> {
    let (config, fields) = config(kind, given)?;
    config.method().map_err(|error| ConfigError::new_err(format!("{kind}: {error}")))?;
    Ok(Value::Object(fields).to_string())
}

/// A method that observes a live model. Tensors of another graph have other ids: for each graph that passes follow there is an analyzer, and their
/// states are merged at the end.
#[pyclass(frozen, module = "fmrai._native")]
pub(crate) struct Analysis {
    kind: String,
    fields: Map<String, Value>,
    config: Box<dyn RegisteredConfig>,
    prepared: Mutex<Vec<Prepared>>,
}

struct Prepared {
    graph: Arc<RecordedGraph>,
    method: Method,
    wants: Vec<u32>,
}

fn failed(kind: &str, error: &AnalyzerError) -> PyErr {
    AnalysisError::new_err(format!("{kind}: {error}"))
}

#[pymethods]
impl Analysis {
    #[new]
    fn new(kind: String, settings: &str) -> PyResult<Self> {
        let (config, fields) = config(&kind, settings)?;
        let wrong =
            |error: fmrai_core::analyzer::ConfigError| ConfigError::new_err(format!("{kind}: {error}"));
        if let Method::Experiment(_) = config.method().map_err(wrong)? {
            return Err(ConfigError::new_err(format!(
                "{kind} drives the model itself: use fmrai.run(model, data, [...]) instead of track_batch"
            )));
        }
        Ok(Self { kind, fields, config, prepared: Mutex::default() })
    }

    /// The ids of the tensors that it wants of passes along this graph.
    #[pyo3(signature = (graph, bridge, tokenizer = None))]
    fn wants(
        &self,
        py: Python<'_>,
        graph: Py<Graph>,
        bridge: Py<PyAny>,
        tokenizer: Option<Py<Tokenizer>>,
    ) -> PyResult<Vec<u32>> {
        let graph = graph.get();
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = prepared.iter().find(|known| Arc::ptr_eq(&known.graph, &graph.graph)) {
            return Ok(known.wants.clone());
        }
        let method = self.config.method();
        let mut method = method.map_err(|error| ConfigError::new_err(format!("{}: {error}", self.kind)))?;
        let model = PyModel::bare(bridge.clone_ref(py));
        let weights: Arc<dyn Weights> = Arc::new(LoadedWeights::of(&model, graph.graph.as_ref()));
        let tokenizer = tokenizer.map(|tokenizer| Arc::clone(&tokenizer.get().inner));
        let view = ModelView {
            graph: graph.graph.as_ref(),
            structure: &graph.structure,
            vocabulary: tokenizer.as_ref().map(|tokenizer| tokenizer.vocabulary()),
            weights: Some(&weights),
        };
        let wants = method.prepare(&view).map_err(|error| failed(&self.kind, &error))?;
        let wants: Vec<u32> = wants.tensors().map(|id| id.0).collect();
        prepared.push(Prepared { graph: Arc::clone(&graph.graph), method, wants: wants.clone() });
        Ok(wants)
    }

    /// Absorbs a pass.
    fn absorb(&self, py: Python<'_>, pass: Py<Pass>, rows: Vec<Row>, index: u64) -> PyResult<()> {
        let pass = pass.get();
        let graph = &pass.graph.get().graph;
        let samples = samples(rows);
        let kept = pass.kept();
        py.detach(|| {
            let activations = kept.map(Kept::into_activations).unwrap_or_default();
            let batch = Batch::new(index, &samples, &activations);
            let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            let known = prepared.iter_mut().find(|known| Arc::ptr_eq(&known.graph, graph));
            match known.map(|known| &mut known.method) {
                Some(Method::Analyzer(analyzer)) => analyzer.track_batch(&batch),
                _ => Err(AnalyzerError::Other("the pass follows a graph that it has not seen".to_owned())),
            }
        })
        .map_err(|error| failed(&self.kind, &error))
    }

    /// Draws the conclusions of all that was absorbed.
    fn analyze(&self, py: Python<'_>) -> PyResult<Report> {
        let report = py.detach(|| {
            let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            let states: Vec<State> = prepared
                .iter()
                .skip(1)
                .map(|other| other.method.analysis().state())
                .collect::<Result<_, _>>()?;
            // What the others have seen moves to the first one, so that a second conclusion does not count it twice.
            prepared.truncate(1);
            let Some(first) = prepared.first_mut() else {
                return Err(AnalyzerError::NotEnoughData {
                    found: "no batch was tracked".to_owned(),
                    needed: "at least one".to_owned(),
                });
            };
            for state in &states {
                first.method.analysis_mut().merge(state)?;
            }
            first.method.analysis().analyze()
        });
        let report = report.map_err(|error| failed(&self.kind, &error))?;
        Ok(Report { name: self.kind.clone(), kind: self.kind.clone(), fields: self.fields.clone(), report })
    }
}
