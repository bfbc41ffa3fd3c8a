//! The model, as analyzers see it.

use std::sync::Arc;

use super::weights::Weights;
use crate::batch::Vocabulary;
use crate::graph::Graph;
use crate::structure::Structure;

/// What an analyzer may know of the model before the first batch.
#[derive(Clone, Copy)]
pub struct ModelView<'a> {
    /// The recorded graph.
    pub graph: &'a dyn Graph,
    /// The attention blocks (and other structure) found in it.
    pub structure: &'a Structure,
    /// The tokens of the model's tokenizer; `None` where the input is not text.
    pub vocabulary: Option<&'a Vocabulary>,
    /// The elements of the model's weights; `None` where only activations are at hand. Keep a clone to read them later.
    pub weights: Option<&'a Arc<dyn Weights>>,
}
