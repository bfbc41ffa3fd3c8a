//! What is changed in a pass.

use super::function::Function;
use super::site::{Axis, Site};
use crate::tensor::TensorValue;

/// What happens to the chosen part of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Its elements become 0.
    Zero,
    /// They become those of the clean pass, of these rows of the batch, one for each row that is edited: the same part of the same tensor.
    Clean(Vec<usize>),
    /// They become these. The value has the axes of the site, each as long as the part, or 1.
    Set(TensorValue),
    /// This, times a strength, is added to them. The value has the axes of the site, each as long as the part, or 1.
    Add(TensorValue, f64),
    /// They are multiplied by a number.
    Scale(f64),
    /// What they have of a direction is taken out, `x − u(u·x)` with `u` the direction divided by its length: one number for each
    /// channel. All channels have to be in the part.
    Project(TensorValue),
    /// They become what a function makes of them. It is shown the part with the axes of the site, its rows those that are edited, and
    /// gives back a tensor of these sizes, or 1 along any axis. It is called once for each pass of the variant, and gradients flow through it.
    Apply(Function),
}

/// One change of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// Where.
    pub site: Site,
    /// The rows of the variant that are edited, counted from 0; `None` for all.
    pub rows: Option<Vec<usize>>,
    /// The places along other axes that are edited, ascending; along axes that are not listed, all.
    pub part: Vec<(Axis, Vec<usize>)>,
    /// What happens there.
    pub change: Change,
}

impl Edit {
    /// Changes all of a site.
    #[must_use]
    pub fn new(site: Site, change: Change) -> Self {
        Self { site, rows: None, part: Vec::new(), change }
    }

    /// The same at these places along an axis alone.
    #[must_use]
    pub fn at(mut self, axis: Axis, places: impl Into<Vec<usize>>) -> Self {
        self.part.push((axis, places.into()));
        self
    }

    /// The same for these rows of the variant alone.
    #[must_use]
    pub fn of_rows(mut self, rows: impl Into<Vec<usize>>) -> Self {
        self.rows = Some(rows.into());
        self
    }
}

/// A pass that differs from the clean one by its edits: some rows of the batch, in any order, also more than once.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// The rows of the batch that it runs on.
    pub rows: Vec<usize>,
    /// What is changed. Edits of the same site happen in this order.
    pub edits: Vec<Edit>,
}

impl Variant {
    /// These rows of the batch, as they are.
    #[must_use]
    pub fn clean(rows: impl Into<Vec<usize>>) -> Self {
        Self { rows: rows.into(), edits: Vec::new() }
    }

    /// The same with one more edit.
    #[must_use]
    pub fn with(mut self, edit: Edit) -> Self {
        self.edits.push(edit);
        self
    }
}
