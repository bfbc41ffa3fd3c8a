//! Writes the activations that a plan captures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::activations::{
    BATCHES, BatchEntry, BatchFile, BatchHeader, FORMAT, GRAPH, MANIFEST, Manifest, StoredActivation,
    StoredFile, VOCABULARY, batch_file, entries, write_batch,
};
use fmrai_core::data::Counts;
use fmrai_core::graph::{fingerprint, to_json};
use fmrai_core::model::FileInfo;
use fmrai_core::selector::select;
use fmrai_core::tracker::{Activations, CaptureRequest};
use serde_json::json;

use super::source::{About, Samples};
use crate::checkpoint::ResumeError;
use crate::error::Error;
use crate::plan::Capture;
use crate::results::{WriteError, json_text, write, write_json, write_with};
use crate::version::Versions;

/// Folder of the activations in the output folder.
pub const FOLDER: &str = "activations";

/// The activations of a run on their way to disk.
pub(super) struct Recorder {
    folder: PathBuf,
    capture: Capture,
    entries: Vec<StoredActivation>,
    request: CaptureRequest,
    batches: BTreeMap<u64, BatchEntry>,
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
        let entries = entries(about.graph, &selected, capture.dtype)?;
        let request = entries.iter().map(|entry| entry.id).collect();
        Ok(Self { folder: output.join(FOLDER), capture, entries, request, batches: BTreeMap::new() })
    }

    pub(super) fn request(&self) -> &CaptureRequest {
        &self.request
    }

    /// Takes over the batches that an interrupted run has written and counted.
    pub(super) fn resume(&mut self, batches: u64) -> Result<(), Error> {
        for index in 0..batches {
            if !self.has(index, None) {
                let path = self.folder.join(batch_file(index));
                return Err(ResumeError::Damaged { path, what: "is absent or damaged".to_owned() }.into());
            }
        }
        Ok(())
    }

    /// True if the file of a batch is there and whole; it is then counted.
    pub(super) fn has(&mut self, index: u64, batch: Option<&Samples>) -> bool {
        let file = batch_file(index);
        let path = self.folder.join(&file);
        let Ok(found) = BatchFile::open(&path, &self.entries) else { return false };
        if found.index() != index || batch.is_some_and(|batch| batch.samples != found.samples()) {
            return false;
        }
        let Ok(FileInfo { bytes, sha256, .. }) = FileInfo::read(&path, &file) else { return false };
        let samples = found.samples().len() as u64;
        self.batches.insert(index, BatchEntry { file, samples, bytes, sha256 });
        true
    }

    /// Writes a batch.
    pub(super) fn record(
        &mut self,
        batch: &Samples,
        activations: &dyn Activations,
        counts: Counts,
    ) -> Result<(), Error> {
        let header =
            BatchHeader { index: batch.index, counts: json!(counts), samples: batch.samples.clone() };
        let mut tensors = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let refused =
                |what: String| Error::Usage(format!("capture: {} ({}): {what}", entry.key, entry.id));
            match activations.tensor(entry.id) {
                Some(Ok(view)) => tensors.push((entry, view)),
                Some(Err(error)) => return Err(refused(error.to_string())),
                None => return Err(refused("was not handed out".to_owned())),
            }
        }
        let file = batch_file(batch.index);
        let written = write_with(&self.folder.join(&file), |into| write_batch(into, &header, &tensors))?;
        let samples = batch.samples.len() as u64;
        let entry = BatchEntry { file, samples, bytes: written.bytes, sha256: written.sha256 };
        self.batches.insert(batch.index, entry);
        Ok(())
    }

    /// Writes what belongs to the batches; the manifest last.
    pub(super) fn finish(
        &self,
        about: &About<'_>,
        counts: Counts,
        parity: &serde_json::Value,
        kernels: &serde_json::Value,
    ) -> Result<Recorded, WriteError> {
        let graph = to_json(about.graph).map_err(|error| WriteError {
            path: self.folder.join(GRAPH),
            source: std::io::Error::other(error),
        })?;
        let mut files = vec![StoredFile::of(GRAPH, graph.as_bytes())];
        write(&self.folder.join(GRAPH), graph.as_bytes())?;
        if let Some(vocabulary) = about.vocabulary {
            let path = self.folder.join(VOCABULARY);
            let text = json_text(&path, vocabulary)?;
            files.push(StoredFile::of(VOCABULARY, text.as_bytes()));
            write(&path, text.as_bytes())?;
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
            select: self.capture.select.clone(),
            dtype: self.capture.dtype,
            tensors: self.entries.clone(),
            batches,
            files,
        };
        write_json(&self.folder.join(MANIFEST), &manifest)?;
        Ok(recorded)
    }
}

/// The files of activations in an output folder, relative to it.
pub(crate) fn files(output: &Path) -> Vec<PathBuf> {
    let folder = output.join(FOLDER);
    let mut files: Vec<PathBuf> =
        [MANIFEST, GRAPH, VOCABULARY].iter().map(|name| Path::new(FOLDER).join(name)).collect();
    let batches = std::fs::read_dir(folder.join(BATCHES)).into_iter().flatten().flatten();
    let mut batches: Vec<String> =
        batches.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    batches.sort();
    let ours = |name: &String| {
        let number = name.strip_suffix(".safetensors").unwrap_or_default();
        let batch = number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit());
        batch || name.starts_with(".fmrai-") && name.ends_with(".tmp")
    };
    files.extend(
        batches.iter().filter(|name| ours(name)).map(|name| Path::new(FOLDER).join(BATCHES).join(name)),
    );
    files.retain(|file| output.join(file).is_file());
    files
}

/// Removes the activations of an earlier run, the manifest first; files that fmrai has not written stay.
pub(super) fn clear(output: &Path) -> Result<(), Error> {
    for file in files(output) {
        let path = output.join(file);
        std::fs::remove_file(&path).map_err(|source| WriteError { path, source })?;
    }
    Ok(())
}
