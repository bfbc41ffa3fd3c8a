//! What sites hold in the clean pass of the whole batch.

use std::cell::RefCell;
use std::collections::BTreeMap;

use fmrai_core::experiment::{BenchError, Layout, Place};

use super::value::{failed, seen};
use crate::ffi::tensor::Tensor;

/// What sites hold in the clean pass of the whole batch, kept for edits that take it from there.
pub(super) struct CleanValues {
    rows: usize,
    at: RefCell<BTreeMap<Place, Tensor>>,
}

impl CleanValues {
    pub(super) fn new(rows: usize) -> Self {
        Self { rows, at: RefCell::default() }
    }

    pub(super) fn has(&self, place: Place) -> bool {
        self.at.borrow().contains_key(&place)
    }

    pub(super) fn keep(&self, place: Place, tensor: Tensor) {
        self.at.borrow_mut().insert(place, tensor);
    }

    /// The tensor as the model has it, `[row, ...]`.
    pub(super) fn whole(&self, place: Place) -> Option<Tensor> {
        self.at.borrow().get(&place).cloned()
    }

    /// The tensor in a layout.
    pub(super) fn tensor(&self, place: Place, layout: &Layout) -> Result<Tensor, BenchError> {
        let tensor = self.whole(place);
        let tensor =
            tensor.ok_or_else(|| BenchError::Pass(format!("{place} was not kept of the clean pass")))?;
        tensor.reshape(&seen(place, layout, &tensor, self.rows)?).map_err(failed)
    }
}
