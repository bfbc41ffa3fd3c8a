//! Recorded batches: what an analyzer is driven with where no model is at hand.

use std::path::Path;

use crate::activations::{ActivationFolder, ActivationsError, StoredActivations};
use crate::analyzer::{Analyzer, AnalyzerError, ModelView};
use crate::batch::{Batch, Sample};
use crate::report::Report;
use crate::tracker::CaptureRequest;

/// A folder of captured activations, all of it in memory: small ones, for tests.
#[derive(Debug)]
pub struct Recorded {
    folder: ActivationFolder,
    batches: Vec<RecordedBatch>,
}

#[derive(Debug)]
struct RecordedBatch {
    index: u64,
    samples: Vec<Sample>,
    activations: StoredActivations,
}

impl Recorded {
    /// Reads a folder that `fmrai capture` has written, or the one that `fmrai plugin new` puts into a new plugin.
    ///
    /// # Errors
    /// As [`ActivationFolder::open`], and for a file of a batch that cannot be read.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, ActivationsError> {
        let folder = ActivationFolder::open(folder.as_ref())?;
        let all: CaptureRequest = folder.manifest().tensors.iter().map(|entry| entry.id).collect();
        let mut batches = Vec::new();
        while let Some(mut file) = folder.batch(batches.len())? {
            let activations = file.read(&all)?;
            batches.push(RecordedBatch {
                index: file.index(),
                samples: file.samples().to_vec(),
                activations,
            });
        }
        Ok(Self { folder, batches })
    }

    /// The recorded model.
    #[must_use]
    pub fn model(&self) -> ModelView<'_> {
        ModelView {
            graph: self.folder.graph(),
            structure: self.folder.structure(),
            vocabulary: self.folder.vocabulary(),
            weights: None,
        }
    }

    /// The batches, in the order of the run.
    pub fn batches(&self) -> impl DoubleEndedIterator<Item = Batch<'_>> + ExactSizeIterator {
        self.batches.iter().map(|batch| Batch::new(batch.index, &batch.samples, &batch.activations))
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
