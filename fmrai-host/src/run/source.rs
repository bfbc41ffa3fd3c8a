//! Where a run's batches and their activations come from.

use std::sync::Arc;

use fmrai_core::analyzer::Weights;
use fmrai_core::batch::{Sample, Vocabulary};
use fmrai_core::graph::{RecordedGraph, TensorId};
use fmrai_core::structure::Structure;
use fmrai_core::tracker::{Activations, CaptureRequest};
use fmrai_torch::data::Counts;
use fmrai_torch::files::FileInfo;
use serde_json::Value;

use super::ParityReport;
use super::told::Told;
use crate::error::Error;

/// Batches with their activations: of a model that runs, or of a folder that was captured before.
pub(super) trait Source {
    /// The next batch; `None` at the end.
    fn next(&mut self) -> Result<Option<Samples>, Error>;

    /// The tensors asked for, of the batch that was handed out last.
    fn activations(&mut self, request: &CaptureRequest) -> Result<Box<dyn Activations>, Error>;

    /// Leaves the batch that was handed out last to an earlier run, whose checkpoint has it: a model whose passes depend on those
    /// before runs on it all the same.
    fn pass_over(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The row of the current batch that an element of a tensor of this shape belongs to; `None` where it cannot be told.
    fn row_of(&mut self, id: TensorId, shape: &[usize], element: usize) -> Option<usize>;

    /// Notes what could not be told of the tensors of the current batch.
    fn note(&self, _: &CaptureRequest, _: &mut Told) {}

    /// True if the model has to run on the batch that was handed out last even if nobody asks for a tensor.
    fn has_to_run(&self) -> bool;

    /// What was read so far.
    fn counts(&self) -> Counts;

    /// How much was read so far, and how much there is.
    fn progress(&self) -> (u64, u64);

    /// What the comparisons with the untouched model have given; `None` before the first.
    fn parity(&self) -> Option<&ParityReport>;

    /// Goes on from the comparisons of an interrupted run.
    fn set_parity(&mut self, parity: Option<ParityReport>);
}

/// The samples of a batch.
pub(super) struct Samples {
    /// Position in the run, from 0.
    pub(super) index: u64,
    pub(super) samples: Vec<Sample>,
}

/// What is known before the first batch is looked at.
pub(super) struct About<'a> {
    pub(super) graph: &'a RecordedGraph,
    pub(super) structure: &'a Structure,
    pub(super) vocabulary: Option<&'a Vocabulary>,
    /// The model's weights; absent where only its activations were stored.
    pub(super) weights: Option<Arc<dyn Weights>>,
    /// The model as summaries tell of it, without its path.
    pub(super) model: Value,
    pub(super) model_files: Vec<FileInfo>,
    /// Where the model, or the folder, was found.
    pub(super) path: String,
    /// Weights that hold NaN or infinity.
    pub(super) non_finite_weights: usize,
    /// What else a user should know of the model.
    pub(super) warnings: Vec<String>,
    /// The files of the data.
    pub(super) data_files: Vec<FileInfo>,
    /// The manifest of the folder, where the activations come from one.
    pub(super) manifest: Option<FileInfo>,
    /// Which form of attention ran where; `None` if that depends on what this run asks for.
    pub(super) kernels: Option<Value>,
}
