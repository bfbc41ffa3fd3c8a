//! The tensors that make up one weight, and whether they are what they should be.

use std::collections::BTreeMap;

use safetensors::Dtype;

use crate::hf_checkpoint::in_file::{InFile, Nowhere};

/// Element types of scales.
pub(super) const SCALES: &[Dtype] = &[Dtype::F32, Dtype::F16, Dtype::BF16];

/// The tensors of a module that may make up its weight.
pub(super) struct Parts {
    module: String,
    left: BTreeMap<String, InFile>,
    used: Vec<InFile>,
    nowhere: Option<Nowhere>,
}

/// What the header of a file says of a tensor with two axes of at least one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) dtype: Dtype,
}

impl Parts {
    /// None yet, of the module of this name.
    pub(super) fn of(module: String) -> Self {
        Self { module, left: BTreeMap::new(), used: Vec::new(), nowhere: None }
    }

    /// Adds a tensor of this module.
    pub(super) fn add(&mut self, tensor: InFile) {
        let part = tensor.name.rsplit('.').next().unwrap_or_default().to_owned();
        self.left.insert(part, tensor);
    }

    /// Adds one that is not there, though the index names it.
    pub(super) fn lack(&mut self, nowhere: Nowhere) {
        self.nowhere = Some(nowhere);
    }

    /// The name of a tensor of the module.
    pub(super) fn name(&self, part: &str) -> String {
        format!("{}.{part}", self.module)
    }

    /// A part that is not there, though the index names it.
    pub(super) fn nowhere(&mut self) -> Option<Nowhere> {
        self.nowhere.take()
    }

    pub(super) fn has(&self, part: &str) -> bool {
        self.left.contains_key(part)
    }

    /// Uses a part, whose shape and element type are given back.
    ///
    /// # Errors
    /// If it is missing, or of none of the element types `dtypes`.
    pub(super) fn tensor(&mut self, part: &str, dtypes: &[Dtype]) -> Result<(Vec<usize>, Dtype), String> {
        let name = self.name(part);
        let Some(tensor) = self.left.remove(part) else {
            let others = self.used.iter().chain(self.left.values()).map(|tensor| tensor.name.as_str());
            return Err(format!("no {name}, which has to be there beside {}", listed(others)));
        };
        let (shape, dtype) = (tensor.info.shape.clone(), tensor.info.dtype);
        if !dtypes.contains(&dtype) {
            let needed: Vec<String> = dtypes.iter().map(ToString::to_string).collect();
            return Err(format!("{name} has elements of type {dtype}, needed is {}", needed.join(", ")));
        }
        self.used.push(tensor);
        Ok((shape, dtype))
    }

    /// Uses a part with two axes.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor), and if it has other axes or no elements.
    pub(super) fn matrix(&mut self, part: &str, dtypes: &[Dtype]) -> Result<Matrix, String> {
        let (shape, dtype) = self.tensor(part, dtypes)?;
        match shape.as_slice() {
            &[rows, columns] if rows > 0 && columns > 0 => Ok(Matrix { rows, columns, dtype }),
            _ => Err(format!("{}: found {shape:?}, two sizes of at least 1 are needed", self.name(part))),
        }
    }

    /// Compares a shape with the one that other parts call for, which `because` says.
    ///
    /// # Errors
    /// If they differ.
    pub(super) fn fits(
        &self,
        part: &str,
        found: &[usize],
        needed: &[usize],
        because: &str,
    ) -> Result<(), String> {
        if found == needed {
            return Ok(());
        }
        Err(format!("{}: found {found:?}, needed {needed:?}{because}", self.name(part)))
    }

    /// The parts that were used, in the order in which they were.
    pub(super) fn take_used(&mut self) -> Vec<InFile> {
        std::mem::take(&mut self.used)
    }

    /// What the weight is not made of.
    pub(super) fn left(self) -> impl Iterator<Item = InFile> {
        self.left.into_values()
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
