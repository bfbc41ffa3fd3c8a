//! Graphs, and what is found in them.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use fmrai_core::graph::{
    DotOptions, Graph as _, Origin, RecordedGraph, TensorId, fingerprint, to_dot, to_json,
};
use fmrai_core::selector::{Selector, Slice, labels, select};
use fmrai_core::structure::Structure;
use fmrai_torch::capture::LiveGraph;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

use crate::error::{FmraiError, of_select, of_syntax};

/// What a pass ran: its operations and the tensors between them, and the structure found in it.
#[pyclass(frozen, module = "fmrai._native")]
pub(crate) struct Graph {
    pub(crate) graph: Arc<RecordedGraph>,
    pub(crate) structure: Arc<Structure>,
    /// Position among the graphs of its model.
    #[pyo3(get)]
    number: usize,
    /// The same graph with lines of source, once they are known.
    with_lines: OnceLock<Arc<RecordedGraph>>,
}

/// A component as Python takes it: role, layer, module, and its tensors by name.
type Component = (&'static str, usize, String, Vec<(&'static str, u32)>);

/// What a selector selects as Python takes it: id, name, labels, and axis, unit and number of merged units of each cut.
type SelectedTensor = (u32, String, Vec<String>, Vec<(usize, usize, Option<usize>)>);

/// A tensor as Python takes it: name, element type, shape, origin, position of the operation that made it, whether it is there on request only.
type TensorFacts = (Option<String>, String, Vec<i64>, &'static str, Option<u32>, bool);

impl Graph {
    pub(crate) fn live(graph: &LiveGraph) -> Self {
        let structure = Arc::new(graph.structure().clone());
        Self {
            graph: Arc::clone(graph.graph()),
            structure,
            number: graph.number(),
            with_lines: OnceLock::new(),
        }
    }

    /// True if it is a view of this one.
    pub(crate) fn is(&self, graph: &LiveGraph) -> bool {
        Arc::ptr_eq(&self.graph, graph.graph())
    }

    pub(crate) fn with(graph: Arc<RecordedGraph>, structure: Arc<Structure>) -> Self {
        Self { graph, structure, number: 0, with_lines: OnceLock::new() }
    }

    /// Takes over the lines of source of its operations.
    pub(crate) fn set_lines(&self, with_lines: &Arc<RecordedGraph>) {
        self.with_lines.get_or_init(|| Arc::clone(with_lines));
    }

    /// What is shown of it: with lines of source where they are known.
    pub(crate) fn shown(&self) -> &RecordedGraph {
        self.with_lines.get().unwrap_or(&self.graph)
    }

    fn of(graph: Arc<RecordedGraph>) -> Self {
        let structure = Arc::new(Structure::of(graph.as_ref()));
        Self::with(graph, structure)
    }
}

#[pymethods]
impl Graph {
    /// The graph as JSON, in the format of `fmrai inspect --graph`.
    fn json(&self) -> PyResult<String> {
        to_json(self.shown()).map_err(|error| FmraiError::new_err(error.to_string()))
    }

    fn structure_json(&self) -> PyResult<String> {
        serde_json::to_string(self.structure.as_ref()).map_err(|error| FmraiError::new_err(error.to_string()))
    }

    fn components(&self) -> Vec<Component> {
        let components = self.structure.components();
        let all = components.iter().map(|found| {
            let parts = found.parts.iter().map(|(part, id)| (*part, id.0)).collect();
            (found.role, found.layer, found.module.to_owned(), parts)
        });
        all.collect()
    }

    /// The tensors that the selectors select: of each its id, what was asked for, its labels, and the cuts that leave a part of it.
    fn select(&self, selectors: Vec<String>) -> PyResult<Vec<SelectedTensor>> {
        let parsed = selectors.iter().map(|text| text.parse::<Selector>().map_err(of_syntax));
        let parsed = parsed.collect::<PyResult<Vec<_>>>()?;
        let found = select(self.graph.as_ref(), &self.structure, &parsed).map_err(of_select)?;
        let cuts = |slice: Option<Slice>| -> Vec<(usize, usize, Option<usize>)> {
            slice.into_iter().flat_map(|slice| slice.0).map(|cut| (cut.axis, cut.index, cut.merged)).collect()
        };
        Ok(found.into_iter().map(|one| (one.tensor.0, one.name, one.labels, cuts(one.slice))).collect())
    }

    fn labels(&self, tensor: u32) -> Vec<String> {
        labels(self.graph.as_ref(), &self.structure, TensorId(tensor))
    }

    #[pyo3(signature = (title = "", structure = true, legend = true, fold_views = false))]
    fn dot(&self, title: &str, structure: bool, legend: bool, fold_views: bool) -> String {
        let structure = structure.then(|| self.structure.as_ref().clone());
        let options = DotOptions { title: title.to_owned(), fold_views, structure, legend };
        to_dot(self.graph.as_ref(), &options)
    }

    fn fingerprint(&self) -> String {
        fingerprint(self.graph.as_ref()).0
    }

    /// Whether the lines of source of its operations are known.
    fn has_lines(&self) -> bool {
        self.shown().operations().iter().any(|operation| operation.source.is_some())
    }

    fn operation_count(&self) -> usize {
        self.graph.operations().len()
    }

    fn tensor_count(&self) -> usize {
        self.graph.tensors().len()
    }

    fn operation_name(&self, operation: usize) -> PyResult<String> {
        let found = self.graph.operations().get(operation);
        found.map(|operation| operation.name.clone()).ok_or_else(|| PyKeyError::new_err(operation))
    }

    fn tensor(&self, id: u32) -> PyResult<TensorFacts> {
        let Some(found) = self.graph.tensor(TensorId(id)) else {
            let last = self.graph.tensors().len().saturating_sub(1);
            return Err(PyKeyError::new_err(format!("tensor #{id}: the graph has #0 to #{last}")));
        };
        let (origin, producer) = match found.origin {
            Origin::Input => ("input", None),
            Origin::Parameter => ("parameter", None),
            Origin::Constant => ("constant", None),
            Origin::Operation { operation, .. } => ("operation", Some(operation.0)),
        };
        Ok((
            found.name.clone(),
            found.dtype.to_string(),
            found.shape.clone(),
            origin,
            producer,
            found.on_request,
        ))
    }

    /// Ids of all tensors that a pass can keep: all but weights, and those that are there on request only where `on_request` says so.
    fn keepable(&self, on_request: bool) -> Vec<u32> {
        let all = self.graph.tensors().iter();
        let all = all.filter(|t| t.origin != Origin::Parameter && (on_request || !t.on_request));
        all.map(|t| t.id.0).collect()
    }
}

/// The graph of a program that torch.export saved, which is known without running it.
#[pyfunction]
pub(crate) fn inspect(py: Python<'_>, path: PathBuf) -> PyResult<Graph> {
    py.detach(|| {
        let source = serde_json::json!({ "type": "exported_program", "path": path });
        let source: Box<dyn fmrai_torch::model::RegisteredModelSource> =
            serde_json::from_value(source).map_err(|error| FmraiError::new_err(error.to_string()))?;
        let context =
            fmrai_torch::model::LoadContext::new(std::path::Path::new(""), fmrai_torch::Device::Cpu);
        let wrong = |error: fmrai_torch::model::ModelError| FmraiError::new_err(error.to_string());
        let model = source.load(&context).map_err(wrong)?;
        match model.graph() {
            Some(graph) => Ok(Graph::of(graph.map_err(wrong)?)),
            None => Err(FmraiError::new_err(format!(
                "{}: its graph is known only when it runs; load it in Python and track it",
                path.display()
            ))),
        }
    })
}
