//! The tokenizer of a model, read from the files that transformers saves.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use crate::error::FmraiError;

/// A tokenizer.
#[pyclass(frozen, module = "fmrai._native")]
pub(crate) struct Tokenizer {
    pub(crate) folder: PathBuf,
    pub(crate) rows: u32,
    pub(crate) inner: Arc<fmrai_torch::text::Tokenizer>,
}

/// Reads it, for a model with `rows` rows in its embedding table.
pub(crate) fn read(folder: &std::path::Path, rows: u32) -> PyResult<fmrai_torch::text::Tokenizer> {
    fmrai_torch::text::Tokenizer::read(folder, rows, None)
        .map_err(|error| FmraiError::new_err(error.to_string()))
}

#[pymethods]
impl Tokenizer {
    #[new]
    fn new(folder: PathBuf, rows: u32) -> PyResult<Self> {
        let inner = Arc::new(read(&folder, rows)?);
        Ok(Self { folder, rows, inner })
    }
}
