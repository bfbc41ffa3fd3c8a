//! Writes the activations that a plan captures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::activations::{
    BatchEntry, BatchFile, BatchHeader, Counted, Entries, FORMAT, GRAPH, MANIFEST, Manifest,
    StoredActivation, StoredFile, VOCABULARY, batch_file, entries, write_batch,
};
use fmrai_core::graph::{fingerprint, to_json};
use fmrai_core::selector::select;
use fmrai_core::structure::{Structure, StructureFile};
use fmrai_core::tensor::{OwnedTensor, TensorError, TensorView};
use fmrai_core::tracker::{Activations, CaptureRequest};
use fmrai_torch::data::Counts;
use fmrai_torch::files::FileInfo;
use serde_json::json;

use super::about::About;
use super::samples::Samples;
use crate::checkpoint::{Captured, ResumeError};
use crate::error::Error;
use crate::plan::Capture;
use crate::results::folder::{ACTIVATIONS, STATE, Staging, Written, look_up};
use crate::results::{WriteError, json_text, write_with};
use crate::version::Versions;

/// The activations of a run on their way to disk.
pub(super) struct Recorder {
    output: PathBuf,
    capture: Capture,
    entries: Vec<StoredActivation>,
    request: CaptureRequest,
    batches: BTreeMap<u64, BatchEntry>,
    captured: Captured,
}

/// A tensor, or what was cut out of one.
enum Piece<'a> {
    Whole(TensorView<'a>),
    Part(OwnedTensor),
}

impl Piece<'_> {
    fn view(&self) -> Result<TensorView<'_>, TensorError> {
        match self {
            Self::Whole(view) => Ok(*view),
            Self::Part(part) => part.view(),
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Tensors in each batch.
    pub tensors: usize,
    /// Batches.
    pub batches: usize,
    /// Bytes of all batches.
    pub bytes: u64,
}

impl Recorder {
    /// Looks up what is captured.
    pub(super) fn new(output: &Path, capture: Capture, about: &About<'_>) -> Result<Self, Error> {
        let selected = select(about.graph, about.structure, &capture.select)?;
        let Entries { stored: entries, refused } =
            entries(about.graph, about.structure, &selected, capture.dtype)?;
        for (tensor, dtype) in refused {
            tracing::warn!(tensor, %dtype, "not captured: its elements have no plain form");
        }
        let request = entries.iter().map(|entry| entry.id).collect();
        let (output, captured) = (output.to_owned(), Captured::of(output));
        Ok(Self { output, capture, entries, request, batches: BTreeMap::new(), captured })
    }

    pub(super) fn request(&self) -> &CaptureRequest {
        &self.request
    }

    /// Takes over the batches that an interrupted run has written. One that is gone, or is not what was written, is captured
    /// again.
    pub(super) fn resume(&mut self) -> Result<(), Error> {
        let path = || self.output.join(STATE);
        let listed =
            self.captured.read().map_err(|source| ResumeError::Unreadable { path: path(), source })?;
        let mut kept = BTreeMap::new();
        for (file, sha256) in listed {
            match self.found(&file, &sha256) {
                Ok((index, entry)) => {
                    self.batches.insert(index, entry);
                    kept.insert(file, sha256);
                }
                Err(what) => {
                    let file = below(&file);
                    tracing::warn!(
                        file,
                        what,
                        "a captured batch is not what was written; it is captured again"
                    );
                }
            }
        }
        Ok(self.captured.write(&kept)?)
    }

    /// A batch that was written before, or why it cannot be kept.
    fn found(&self, file: &str, sha256: &str) -> Result<(u64, BatchEntry), String> {
        let path = self.output.join(below(file));
        let batch = BatchFile::open(&path, &self.entries).map_err(|e| e.to_string())?;
        let found = FileInfo::read(&path, file).map_err(|e| e.to_string())?;
        if found.sha256 != sha256 {
            return Err(format!("its SHA-256 is {}, needed {sha256}", found.sha256));
        }
        let (index, samples) = (batch.index(), batch.samples().len() as u64);
        Ok((index, BatchEntry { file: file.to_owned(), samples, bytes: found.bytes, sha256: found.sha256 }))
    }

    /// True if a batch is captured already.
    pub(super) fn has(&self, index: u64) -> bool {
        self.batches.contains_key(&index)
    }

    /// Writes a batch, which adds this to the counts.
    pub(super) fn record(
        &mut self,
        batch: &Samples,
        activations: &dyn Activations,
        added: Counts,
    ) -> Result<(), Error> {
        let counts = Counted::Added(json!(added));
        let header = BatchHeader { index: batch.index, counts, samples: batch.samples.clone() };
        let mut tensors = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let refused =
                |what: String| Error::Usage(format!("capture: {} ({}): {what}", entry.key, entry.id));
            let whole = match activations.tensor(entry.id) {
                Some(Ok(view)) => view,
                Some(Err(error)) => return Err(refused(error.to_string())),
                None => return Err(refused("was not handed out".to_owned())),
            };
            let Some(slice) = &entry.slice else {
                tensors.push((entry, Piece::Whole(whole)));
                continue;
            };
            let part = slice.of(&whole);
            let absent = || refused(format!("a tensor of shape {:?} has no such part", whole.shape()));
            tensors.push((entry, Piece::Part(part.ok_or_else(absent)?)));
        }
        let views = tensors.iter().map(|(entry, piece)| Ok((*entry, piece.view()?)));
        let views = views.collect::<Result<Vec<_>, TensorError>>();
        let tensors = views.map_err(|error| Error::Internal(format!("capture: {error}")))?;
        let file = batch_file(batch.index);
        let path = self.output.join(below(&file));
        let written = write_with(&path, |into| write_batch(into, &header, &tensors))?;
        self.captured.add(&file, &written.sha256)?;
        let samples = batch.samples.len() as u64;
        let entry = BatchEntry { file, samples, bytes: written.bytes, sha256: written.sha256 };
        self.batches.insert(batch.index, entry);
        Ok(())
    }

    /// The files of the batches, which are in their places.
    pub(super) fn written(&self) -> Vec<Written> {
        let written = |batch: &BatchEntry| Written { name: below(&batch.file), bytes: batch.bytes };
        self.batches.values().map(written).collect()
    }

    /// Writes what belongs to the batches; the manifest last.
    pub(super) fn finish(
        &self,
        staging: &mut Staging,
        about: &About<'_>,
        counts: Counts,
        parity: &serde_json::Value,
        kernels: &serde_json::Value,
    ) -> Result<Recorded, WriteError> {
        // Before anything is replaced: a manifest must not list what somebody has taken away.
        self.written().iter().try_for_each(|file| look_up(&self.output, file))?;
        let graph = to_json(about.graph).map_err(|error| WriteError {
            path: self.output.join(below(GRAPH)),
            source: std::io::Error::other(error),
        })?;
        let mut files = vec![StoredFile::of(GRAPH, graph.as_bytes())];
        staging.write(below(GRAPH), graph.as_bytes())?;
        if let Some(vocabulary) = about.vocabulary {
            let text = json_text(&self.output.join(below(VOCABULARY)), vocabulary)?;
            files.push(StoredFile::of(VOCABULARY, text.as_bytes()));
            staging.write(below(VOCABULARY), text.as_bytes())?;
        }
        let batches: Vec<BatchEntry> = self.batches.values().cloned().collect();
        let recorded = Recorded {
            tensors: self.entries.len(),
            batches: batches.len(),
            bytes: batches.iter().map(|batch| batch.bytes).sum(),
        };
        let manifest = Manifest {
            format: FORMAT,
            versions: json!(Versions::current()),
            model: about.model.clone(),
            data: json!({ "files": about.data_files, "batches": batches.len(), "counts": counts }),
            parity: parity.clone(),
            kernels: kernels.clone(),
            fingerprint: fingerprint(about.graph),
            visible: about.structure.attention.iter().map(|block| block.visible).collect(),
            structure: StructureFile::between(about.graph, &Structure::of(about.graph), about.structure),
            select: self.capture.select.clone(),
            dtype: self.capture.dtype,
            tensors: self.entries.clone(),
            batches,
            files,
        };
        staging.write_json(below(MANIFEST), &manifest)?;
        Ok(recorded)
    }
}

/// A file of the activations, relative to the output folder.
fn below(file: &str) -> String {
    format!("{ACTIVATIONS}/{file}")
}
