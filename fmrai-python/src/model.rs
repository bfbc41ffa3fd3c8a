//! A model of Python as one that runs are made with.

use std::sync::Arc;

use fmrai_core::tensor::DType;
use fmrai_torch::Tensor;
use fmrai_torch::model::{Axis, InputSpec, Model, ModelError, ModelInfo, ModelState, NamedTensors};
use pyo3::prelude::*;

use crate::boundary::tensor_of;
use crate::error::in_model;
use crate::tensor::to_python;

/// A tensor of Python with its name.
pub(crate) type Named<'py> = (String, Bound<'py, PyAny>);

/// What Python tells of a model: an object of `fmrai._bridge` with the methods that are called here.
pub(crate) struct PyModel {
    bridge: Py<PyAny>,
    info: ModelInfo,
    inputs: Vec<InputSpec>,
    tokenizer: Option<Arc<fmrai_torch::text::Tokenizer>>,
}

/// An input as Python tells of it: its name, number of axes, whether it is needed, and how many tokens it may be long.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Input {
    name: String,
    dtype: Option<String>,
    axes: Option<Vec<(i64, Option<i64>)>>,
    required: bool,
}

impl PyModel {
    /// A model of which nothing is asked but its weights and its state.
    pub(crate) fn bare(bridge: Py<PyAny>) -> Self {
        Self {
            bridge,
            info: info(String::new(), 0, DType::Float32, None),
            inputs: Vec::new(),
            tokenizer: None,
        }
    }

    /// A model that runs are made with.
    pub(crate) fn of(
        py: Python<'_>,
        bridge: Py<PyAny>,
        tokenizer: Option<Arc<fmrai_torch::text::Tokenizer>>,
    ) -> PyResult<Self> {
        let bound = bridge.bind(py);
        let (architecture, weights, dtype, longest): (String, u64, String, Option<usize>) =
            bound.call_method0("facts")?.extract()?;
        let inputs: Vec<Input> = bound.call_method0("inputs")?.extract()?;
        let inputs = inputs.into_iter().map(|input| InputSpec {
            name: input.name,
            dtype: input.dtype.as_deref().map(element_type),
            axes: input
                .axes
                .map(|axes| axes.into_iter().map(|(min, max)| Axis::Range { min, max }).collect()),
            required: input.required,
            values: None,
        });
        let info = info(architecture, weights, element_type(&dtype), longest);
        Ok(Self { inputs: inputs.collect(), info, bridge, tokenizer })
    }
}

impl PyModel {
    /// The same model, of a source that plans name.
    pub(crate) fn of_source(mut self, source: &str, path: &std::path::Path) -> Self {
        source.clone_into(&mut self.info.source);
        path.clone_into(&mut self.info.path);
        self
    }
}

fn info(architecture: String, parameters: u64, dtype: DType, max_tokens: Option<usize>) -> ModelInfo {
    ModelInfo {
        source: "python".to_owned(),
        architecture,
        path: std::path::PathBuf::new(),
        files: Vec::new(),
        parameters,
        dtype,
        max_tokens,
        quantisation: None,
        remade_bytes: 0,
        unused_weights: Vec::new(),
        non_finite_weights: Vec::new(),
        warnings: Vec::new(),
    }
}

/// Of the name that torch has for it.
fn element_type(name: &str) -> DType {
    serde_json::from_value(serde_json::Value::from(name)).unwrap_or(DType::Other)
}

impl Model for PyModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        let read = |py: Python<'_>| -> PyResult<Vec<(String, Tensor)>> {
            let named: Vec<Named<'_>> = self.bridge.bind(py).call_method0("parameters")?.extract()?;
            named.into_iter().map(|(name, tensor)| Ok((name, tensor_of(&tensor)?))).collect()
        };
        // A model that cannot tell its weights is recorded without their names.
        Python::attach(|py| read(py).unwrap_or_default())
    }

    fn tokenizer(&self) -> Option<&fmrai_torch::text::Tokenizer> {
        self.tokenizer.as_deref()
    }

    fn inputs(&self) -> Vec<InputSpec> {
        self.inputs.clone()
    }

    fn state(&self) -> Result<Box<dyn ModelState + '_>, ModelError> {
        let taken = Python::attach(|py| self.bridge.call_method0(py, "snapshot"));
        Ok(Box::new(Snapshot(taken.map_err(in_model)?)))
    }

    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        let run = |py: Python<'_>| -> PyResult<NamedTensors> {
            let given = inputs.0.iter().map(|(name, tensor)| Ok((name.clone(), to_python(py, tensor)?)));
            let given = given.collect::<PyResult<Vec<Named<'_>>>>()?;
            let outputs: Vec<Named<'_>> =
                self.bridge.bind(py).call_method1("forward", (given,))?.extract()?;
            let outputs = outputs.into_iter().map(|(name, tensor)| Ok((name, tensor_of(&tensor)?)));
            Ok(NamedTensors(outputs.collect::<PyResult<_>>()?))
        };
        Python::attach(run).map_err(in_model)
    }
}

/// The attributes of the modules of a model, and of what a call was given, as they were.
struct Snapshot(Py<PyAny>);

impl ModelState for Snapshot {
    fn put_back(&self) -> Result<(), ModelError> {
        Python::attach(|py| self.0.call_method0(py, "put_back")).map(drop).map_err(in_model)
    }

    fn is_current(&self) -> Result<bool, ModelError> {
        Python::attach(|py| self.0.call_method0(py, "is_current")?.extract(py)).map_err(in_model)
    }
}
