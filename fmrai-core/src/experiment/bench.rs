//! Where an experiment runs variants of a batch.

use super::edit::Variant;
use super::objective::Objective;
use super::place::Place;
use super::site::Site;
use crate::analyzer::AnalyzerError;
use crate::tensor::TensorValue;

/// Why a bench could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// An edit cannot be made.
    #[error("the edit of {place}: {what}")]
    Edit {
        /// Where it is.
        place: Place,
        /// What is wrong with it, and what would be valid.
        what: String,
    },
    /// An objective cannot be measured.
    #[error("the objective: {0}")]
    Objective(String),
    /// What is differentiated does not depend on what it is differentiated with respect to.
    #[error("the objective does not depend on {0}: it is not computed from it in this pass")]
    Independent(Place),
    /// The edited pass gives numbers that are not finite.
    #[error("{what} of row {row} is NaN or infinite{after}")]
    NotFinite {
        /// What is not.
        what: String,
        /// The row of the batch.
        row: usize,
        /// Which edits were made.
        after: String,
    },
    /// The pass failed.
    #[error("the edited pass failed: {0}")]
    Pass(String),
    /// Any of these, as the host of a plugin tells it.
    #[error("{0}")]
    Told(String),
}

impl From<BenchError> for AnalyzerError {
    fn from(error: BenchError) -> Self {
        Self::Other(error.to_string())
    }
}

/// An objective with its derivatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// The objective of each row of the variant.
    pub values: Vec<f64>,
    /// For each site that was asked for, what it holds in this pass, with the axes of the site.
    pub at: Vec<TensorValue>,
    /// The derivative of each row's objective with respect to that, with the same axes.
    pub gradients: Vec<TensorValue>,
}

/// A way that a derivative is taken along.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientPath {
    /// With respect to what.
    pub to: Site,
    /// By way of what; `None` for every way to the objective.
    pub through: Option<Site>,
    /// The heads of it that count; empty for all of it.
    pub heads: Vec<usize>,
}

/// An objective with its derivatives along paths.
#[derive(Debug, Clone, PartialEq)]
pub struct PathGradients {
    /// The objective of each row of the variant.
    pub values: Vec<f64>,
    /// For each path, the derivative of each row's objective, with the axes of its site `to`.
    pub gradients: Vec<TensorValue>,
}

/// Runs variants of the current batch on the model. Nothing of them stays: not in the model, not in its inputs, not in the clean pass, not in
/// each other.
pub trait Bench {
    /// Measures each objective on each row of each variant: `[variant][objective][row of the variant]`.
    ///
    /// # Errors
    /// [`BenchError`], before anything runs where the edit or the objective itself is at fault.
    fn measure(
        &mut self,
        variants: &[Variant],
        objectives: &[Objective],
    ) -> Result<Vec<Vec<Vec<f64>>>, BenchError>;

    /// What sites hold in each variant, after its edits, with the axes of the sites: `[variant][site]`.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    fn read_all(&mut self, variants: &[Variant], sites: &[Site])
    -> Result<Vec<Vec<TensorValue>>, BenchError>;

    /// The same of one variant.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    fn read(&mut self, variant: &Variant, sites: &[Site]) -> Result<Vec<TensorValue>, BenchError> {
        let read = self.read_all(std::slice::from_ref(variant), sites)?;
        Ok(read.into_iter().next().unwrap_or_default())
    }

    /// Differentiates an objective of a variant with respect to what sites hold in it, after its edits.
    ///
    /// # Errors
    /// As [`measure`](Self::measure); [`BenchError::Independent`].
    fn gradients(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        sites: &[Site],
    ) -> Result<Gradients, BenchError>;

    /// Differentiates an objective of a variant along paths: for each, the derivative with respect to what its site `to` holds, counting
    /// only what reaches the objective by way of some heads of its site `through`. One forward pass for all of them.
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients); [`BenchError::Independent`] also where `through` does not depend on `to`.
    fn path_gradients(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        paths: &[GradientPath],
    ) -> Result<PathGradients, BenchError>;

    /// What sites hold when the model runs on these rows of token ids in place of the batch, all of one length. Other inputs are as
    /// for a batch of such texts.
    ///
    /// # Errors
    /// [`BenchError::Pass`] where the model reads no token ids, or fails.
    fn read_tokens(&mut self, rows: &[Vec<u32>], sites: &[Site]) -> Result<Vec<TensorValue>, BenchError>;
}

const _: Option<&dyn Bench> = None; // stays object-safe
