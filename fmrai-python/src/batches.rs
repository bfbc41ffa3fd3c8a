//! Data of a Python program.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fmrai_torch::data::{Batches, Counts, DataContext, DataError, DataSource, InputBatch};
use fmrai_torch::files::FileInfo;
use fmrai_torch::model::NamedTensors;
use pyo3::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::boundary::tensor_of;
use crate::model::Named;
use crate::samples::{Row, samples};

/// What opens data, by number: a config owns no object of Python.
static OPENERS: Mutex<BTreeMap<u64, Py<PyAny>>> = Mutex::new(BTreeMap::new());

/// Batches of a Python program, while it runs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PythonBatches {
    /// The number that the program has given them.
    number: u64,
}

fmrai_torch::register_data_source!(PythonBatches, name: "python", summary: "batches of the Python program that runs the plan");

/// Data that can be opened while this lives.
pub(crate) struct Offered(pub(crate) u64);

impl Offered {
    /// `open()` gives an iterator of batches, from the start.
    pub(crate) fn new(open: Py<PyAny>) -> Self {
        let mut openers = OPENERS.lock().unwrap_or_else(PoisonError::into_inner);
        let number = openers.last_key_value().map_or(0, |(last, _)| last + 1);
        openers.insert(number, open);
        Self(number)
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        let opener = OPENERS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
        Python::attach(|_| drop(opener));
    }
}

fn raised(error: PyErr) -> DataError {
    DataError::Unsuitable(error.to_string())
}

impl DataSource for PythonBatches {
    fn open<'a>(&self, _: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        let opened = Python::attach(|py| {
            let openers = OPENERS.lock().unwrap_or_else(PoisonError::into_inner);
            let opener = openers.get(&self.number).map(|opener| opener.clone_ref(py));
            drop(openers);
            opener.map(|opener| opener.call0(py)).transpose()
        });
        let Some(iterator) = opened.map_err(raised)? else {
            return Err(DataError::Unsuitable(
                "batches of a Python program are there only while fmrai.run runs on them".to_owned(),
            ));
        };
        Ok(Box::new(Running { iterator, next: 0, counts: Counts::default() }))
    }
}

struct Running {
    iterator: Py<PyAny>,
    next: u64,
    counts: Counts,
}

impl Batches for Running {
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError> {
        let read = |py: Python<'_>| -> PyResult<Option<(NamedTensors, Vec<Row>)>> {
            let Some(batch) = self.iterator.bind(py).try_iter()?.next().transpose()? else { return Ok(None) };
            let (inputs, rows): (Vec<Named<'_>>, Vec<Row>) = batch.extract()?;
            let inputs = inputs.into_iter().map(|(name, tensor)| Ok((name, tensor_of(&tensor)?)));
            Ok(Some((NamedTensors(inputs.collect::<PyResult<_>>()?), rows)))
        };
        let Some((inputs, rows)) = Python::attach(read).map_err(raised)? else { return Ok(None) };
        let samples = samples(rows);
        let index = self.next;
        self.next += 1;
        self.counts.texts += samples.len() as u64;
        self.counts.tokens += samples.iter().map(|sample| sample.token_ids.len() as u64).sum::<u64>();
        Ok(Some(InputBatch { index, samples, inputs, whole: Vec::new(), filler: 0 }))
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn progress(&self) -> (u64, u64) {
        (self.next, 0)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        Ok(Vec::new())
    }
}
