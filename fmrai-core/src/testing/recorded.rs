//! Recorded batches: what an analyzer is driven with where no model is at hand.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::MemoryActivations;
use crate::activations::{ActivationFolder, ActivationsError};
use crate::analyzer::{Analyzer, AnalyzerError, ModelView, Weights};
use crate::batch::{Batch, Sample, Vocabulary};
use crate::graph::RecordedGraph;
use crate::report::Report;
use crate::structure::Structure;
use crate::tracker::{Activations, CaptureRequest};

/// What passes of a model left, all of it in memory: small ones, for tests.
pub struct Recorded {
    graph: RecordedGraph,
    structure: Structure,
    vocabulary: Option<Vocabulary>,
    weights: Option<Arc<dyn Weights>>,
    batches: Vec<RecordedBatch>,
}

struct RecordedBatch {
    index: u64,
    samples: Vec<Sample>,
    activations: Box<dyn Activations + Send + Sync>,
}

impl Recorded {
    /// Reads a folder that `fmrai capture` has written, or the one that `fmrai plugin new` puts into a new plugin. It has no weights.
    ///
    /// # Errors
    /// As [`ActivationFolder::open`], and for a file of a batch that cannot be read.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, ActivationsError> {
        let folder = ActivationFolder::open(folder.as_ref())?;
        let all: CaptureRequest = folder.manifest().tensors.iter().map(|entry| entry.id).collect();
        let mut batches = Vec::new();
        while let Some(mut file) = folder.batch(batches.len())? {
            let activations = Box::new(file.read(&all)?);
            batches.push(RecordedBatch {
                index: file.index(),
                samples: file.samples().to_vec(),
                activations,
            });
        }
        Ok(Self {
            graph: folder.graph().clone(),
            structure: folder.structure().clone(),
            vocabulary: folder.vocabulary().cloned(),
            weights: None,
            batches,
        })
    }

    /// Passes of a model with this graph, each with its samples and what was kept. The structure is found in the graph.
    #[must_use]
    pub fn of(
        graph: RecordedGraph,
        batches: impl IntoIterator<Item = (Vec<Sample>, MemoryActivations)>,
    ) -> Self {
        let batches = (0..).zip(batches).map(|(index, (samples, activations))| RecordedBatch {
            index,
            samples,
            activations: Box::new(activations),
        });
        let structure = Structure::of(&graph);
        Self { graph, structure, vocabulary: None, weights: None, batches: batches.collect() }
    }

    /// The same with a vocabulary.
    #[must_use]
    pub fn with_vocabulary(self, vocabulary: Vocabulary) -> Self {
        Self { vocabulary: Some(vocabulary), ..self }
    }

    /// The same with the model's weights, for analyzers that read them.
    #[must_use]
    pub fn with_weights(self, weights: Arc<dyn Weights>) -> Self {
        Self { weights: Some(weights), ..self }
    }

    /// The recorded model.
    #[must_use]
    pub fn model(&self) -> ModelView<'_> {
        ModelView {
            graph: &self.graph,
            structure: &self.structure,
            vocabulary: self.vocabulary.as_ref(),
            weights: self.weights.as_ref(),
        }
    }

    /// The batches, in the order of the run.
    pub fn batches(&self) -> impl DoubleEndedIterator<Item = Batch<'_>> + ExactSizeIterator {
        self.batches.iter().map(|batch| Batch::new(batch.index, &batch.samples, batch.activations.as_ref()))
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").field("batches", &self.batches.len()).finish_non_exhaustive()
    }
}

/// Runs an analyzer over all recorded batches, from `prepare` to `analyze`.
///
/// # Errors
/// Those of the analyzer.
pub fn drive(analyzer: &mut dyn Analyzer, recorded: &Recorded) -> Result<Report, AnalyzerError> {
    analyzer.prepare(&recorded.model())?;
    for batch in recorded.batches() {
        analyzer.track_batch(&batch)?;
    }
    analyzer.analyze()
}
