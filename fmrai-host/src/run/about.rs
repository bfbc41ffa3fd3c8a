//! What is known of model and data before the first batch is looked at.

use std::sync::Arc;

use fmrai_core::analyzer::{ModelView, Weights};
use fmrai_core::batch::Vocabulary;
use fmrai_core::graph::RecordedGraph;
use fmrai_core::structure::Structure;
use fmrai_torch::files::FileInfo;
use serde_json::Value;

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

impl About<'_> {
    /// The model, as methods see it.
    pub(super) fn view(&self) -> ModelView<'_> {
        ModelView {
            graph: self.graph,
            structure: self.structure,
            vocabulary: self.vocabulary,
            weights: self.weights.as_ref(),
        }
    }
}
