//! Reports: what a method has found.

use std::path::PathBuf;

use fmrai_core::report::{NamedTensor, Values};
use fmrai_core::tensor::TensorData;
use fmrai_host::results::{STORE, analysis, write, write_store};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use serde_json::{Map, Value, json};

use crate::error::RunError;

/// The report of a method.
#[pyclass(frozen, module = "fmrai._native")]
pub(crate) struct Report {
    #[pyo3(get)]
    pub(crate) name: String,
    #[pyo3(get)]
    pub(crate) kind: String,
    pub(crate) fields: Map<String, Value>,
    pub(crate) report: fmrai_core::report::Report,
}

/// A column as Python takes it: name, unit, cells.
type Column<'py> = (String, Option<String>, Bound<'py, PyAny>);

#[pymethods]
impl Report {
    /// The summary as JSON.
    fn summary(&self) -> String {
        json!(self.report.summary).to_string()
    }

    fn table_names(&self) -> Vec<String> {
        self.report.tables.iter().map(|table| table.name().to_owned()).collect()
    }

    fn table<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Vec<Column<'py>>> {
        let found = self.report.tables.iter().find(|table| table.name() == name);
        let Some(table) = found else { return Err(lacking("table", name, &self.table_names())) };
        let columns = table.columns().iter().map(|column| {
            let cells = match &column.values {
                Values::Int(cells) => cells.into_pyobject(py)?.into_any(),
                Values::Float(cells) => cells.into_pyobject(py)?.into_any(),
                Values::Text(cells) => cells.into_pyobject(py)?.into_any(),
            };
            Ok((column.name.clone(), column.unit.clone(), cells))
        });
        columns.collect()
    }

    fn tensor_names(&self) -> Vec<String> {
        self.report.tensors.iter().map(|tensor| tensor.name.clone()).collect()
    }

    /// Axes and unit of a tensor.
    fn tensor_facts(&self, name: &str) -> PyResult<(Vec<String>, Option<String>)> {
        let tensor = self.find(name)?;
        Ok((tensor.axes.clone(), tensor.unit.clone()))
    }

    /// The numbers of a tensor, as something that NumPy reads without a copy.
    fn tensor(slf: Py<Self>, py: Python<'_>, name: &str) -> PyResult<Numbers> {
        let report = slf.get();
        report.find(name)?;
        let index = report.report.tensors.iter().position(|tensor| tensor.name == name).unwrap_or(0);
        Ok(Numbers { report: slf.clone_ref(py), index })
    }

    fn figure_names(&self) -> Vec<(String, String)> {
        self.report.figures.iter().map(|figure| (figure.name.clone(), figure.title.clone())).collect()
    }

    /// A figure as SVG.
    fn svg(&self, py: Python<'_>, figure: &str) -> PyResult<String> {
        py.detach(|| Ok(self.drawn(figure)?.svg().to_owned()))
    }

    /// A figure as PNG, with so many pixels to a point.
    fn png<'py>(&self, py: Python<'py>, figure: &str, scale: f32) -> PyResult<Bound<'py, PyBytes>> {
        let png = py.detach(|| {
            let drawn = self.drawn(figure)?;
            drawn.png(scale).map_err(|error| RunError::new_err(format!("figure {figure:?}: {error}")))
        })?;
        Ok(PyBytes::new(py, &png))
    }

    /// A figure as the data that it is drawn from, as JSON.
    fn figure(&self, name: &str) -> PyResult<String> {
        let figure = self.report.figures.iter().find(|figure| figure.name == name);
        let figure = figure.ok_or_else(|| self.no_figure(name))?;
        serde_json::to_string(figure).map_err(|error| RunError::new_err(error.to_string()))
    }

    /// Writes the files of the report, those that `fmrai run` writes, into a folder; gives their paths.
    fn save(&self, py: Python<'_>, folder: PathBuf) -> PyResult<Vec<PathBuf>> {
        py.detach(|| {
            let files = analysis::files(&self.name, &self.kind, &self.fields, &self.report);
            let files = files.map_err(|error| RunError::new_err(error.to_string()))?;
            let mut written = Vec::with_capacity(files.len() + 1);
            if let Some(store) = &self.report.store {
                let path = folder.join(STORE);
                write_store(&path, store).map_err(|error| RunError::new_err(error.to_string()))?;
                written.push(path);
            }
            for (path, content) in files {
                let path = folder.join(path);
                let parent = path.parent().unwrap_or(&folder);
                std::fs::create_dir_all(parent)?;
                write(&path, &content).map_err(|error| RunError::new_err(error.to_string()))?;
                written.push(path);
            }
            Ok(written)
        })
    }
}

impl Report {
    fn find(&self, name: &str) -> PyResult<&NamedTensor> {
        let found = self.report.tensors.iter().find(|tensor| tensor.name == name);
        found.ok_or_else(|| lacking("tensor", name, &self.tensor_names()))
    }

    fn no_figure(&self, name: &str) -> PyErr {
        let names: Vec<String> = self.report.figures.iter().map(|figure| figure.name.clone()).collect();
        lacking("figure", name, &names)
    }

    fn drawn(&self, name: &str) -> PyResult<fmrai_draw::Drawing> {
        let figure = self.report.figures.iter().find(|figure| figure.name == name);
        let figure = figure.ok_or_else(|| self.no_figure(name))?;
        fmrai_draw::draw(figure).map_err(|error| RunError::new_err(format!("figure {name:?}: {error}")))
    }
}

fn lacking(what: &str, name: &str, there: &[String]) -> PyErr {
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    PyKeyError::new_err(format!("no {what} is called {name:?}; there are: {there}"))
}

/// The numbers of a tensor of a report. NumPy reads them where they lie, and keeps the report alive.
#[pyclass(frozen, module = "fmrai._native")]
pub(crate) struct Numbers {
    report: Py<Report>,
    index: usize,
}

#[pymethods]
impl Numbers {
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tensor = &self.report.get().report.tensors[self.index];
        let (kind, address) = match tensor.value.data() {
            TensorData::F32(data) => ("<f4", data.as_ptr().addr()),
            TensorData::F64(data) => ("<f8", data.as_ptr().addr()),
            TensorData::I64(data) => ("<i8", data.as_ptr().addr()),
        };
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", kind)?;
        interface.set_item("shape", PyTuple::new(py, tensor.value.shape())?)?;
        // A report never changes: the address stays right, and NumPy may not write there.
        interface.set_item("data", (address, true))?;
        Ok(interface)
    }
}
