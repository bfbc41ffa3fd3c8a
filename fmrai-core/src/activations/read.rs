//! Reading a folder of activations, batch by batch, each tensor only where it is asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use sha2::{Digest, Sha256};

use super::{
    ActivationsError, BatchHeader, FORMAT, GRAPH, MANIFEST, Manifest, OLDEST, StoredActivation, StoredFile,
    VOCABULARY,
};
use crate::batch::{Sample, Vocabulary};
use crate::graph::{RecordedGraph, TensorId, fingerprint, from_json};
use crate::structure::Structure;
use crate::tensor::{DType, Elements, OwnedTensor, SafetensorsIndex, StoredTensor, TensorError, TensorView};
use crate::tracker::{Activations, CaptureRequest};

/// A folder of captured activations.
#[derive(Debug)]
pub struct ActivationFolder {
    path: PathBuf,
    manifest: Manifest,
    graph: RecordedGraph,
    structure: Structure,
    vocabulary: Option<Vocabulary>,
    manifest_file: StoredFile,
}

impl ActivationFolder {
    /// Reads manifest, graph and vocabulary of the folder at `path`, or of the folder `activations` below it, which a run
    /// makes. No batch is looked at. The structure is found again in the graph, and corrected as it was.
    ///
    /// # Errors
    /// - [`ActivationsError::NoCapture`] if there is no finished capture.
    /// - Others for a file that is absent or not what it should be.
    pub fn open(path: &Path) -> Result<Self, ActivationsError> {
        let below = path.join("activations");
        let is_there = |path: &Path| path.join(MANIFEST).is_file();
        let path = if !is_there(path) && below.is_dir() { below } else { path.to_owned() };
        if !is_there(&path) {
            let what = match () {
                () if path.join(super::BATCHES).is_dir() => {
                    "the capture is unfinished: finish it with --resume"
                }
                () if path.is_dir() => "is no folder of activations: there is no manifest.json in it",
                () if path.exists() => "is a file, needed a folder of activations",
                () => "there is no such folder",
            };
            return Err(ActivationsError::NoCapture { path, what: what.to_owned() });
        }
        let file = path.join(MANIFEST);
        let text = text(&file)?;
        let manifest_file = StoredFile::of(MANIFEST, text.as_bytes());
        let wrong = |path: &Path, what: String| ActivationsError::File { path: path.to_owned(), what };
        // The version is looked at first: another one may have other fields.
        let version: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| wrong(&file, format!("not a manifest: {e}")))?;
        match version.get("format").and_then(serde_json::Value::as_u64) {
            Some(found) if (u64::from(OLDEST)..=u64::from(FORMAT)).contains(&found) => {}
            Some(found) => {
                return Err(wrong(
                    &file,
                    format!("activations of format {found}, this version reads {OLDEST} to {FORMAT}"),
                ));
            }
            None => return Err(wrong(&file, "not a manifest: no field `format`".to_owned())),
        }
        let manifest: Manifest =
            serde_json::from_value(version).map_err(|e| wrong(&file, format!("not a manifest: {e}")))?;
        let file = path.join(GRAPH);
        let graph = from_json(&listed(&file, GRAPH, &manifest)?)
            .map_err(|source| ActivationsError::Graph { path: file.clone(), source })?;
        if fingerprint(&graph) != manifest.fingerprint {
            return Err(wrong(&file, "is not the graph that the manifest names".to_owned()));
        }
        let file = path.join(VOCABULARY);
        let vocabulary = match file.is_file() {
            true => Some(
                serde_json::from_str(&listed(&file, VOCABULARY, &manifest)?)
                    .map_err(|e| wrong(&file, format!("not a vocabulary: {e}")))?,
            ),
            false if manifest.files.iter().any(|listed| listed.file == VOCABULARY) => {
                return Err(wrong(&file, format!("is not there, though {MANIFEST} names it")));
            }
            false => None,
        };
        let mut structure = Structure::of(&graph);
        if let Some(corrections) = &manifest.structure {
            let wrong = |error| wrong(&path.join(MANIFEST), format!("structure: {error}"));
            corrections.apply(&graph, &mut structure).map_err(wrong)?;
        }
        if manifest.visible.len() == structure.attention.len() {
            // The constants that say so are not in the graph.
            for (block, visible) in structure.attention.iter_mut().zip(&manifest.visible) {
                block.visible = *visible;
            }
        }
        Ok(Self { path, manifest, graph, structure, vocabulary, manifest_file })
    }

    /// The folder that holds the manifest.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was captured.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Size and hash of the manifest that was read.
    #[must_use]
    pub fn manifest_file(&self) -> &StoredFile {
        &self.manifest_file
    }

    /// The recorded graph.
    #[must_use]
    pub fn graph(&self) -> &RecordedGraph {
        &self.graph
    }

    /// What was found in the graph.
    #[must_use]
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// The tokens of the model's tokenizer; `None` where the input was not text.
    #[must_use]
    pub fn vocabulary(&self) -> Option<&Vocabulary> {
        self.vocabulary.as_ref()
    }

    /// The entry of a tensor that was captured as a whole.
    #[must_use]
    pub fn entry(&self, id: TensorId) -> Option<&StoredActivation> {
        self.manifest.tensors.iter().find(|entry| entry.id == id && entry.slice.is_none())
    }

    /// Opens batch number `index`; `None` beyond the last. Reads its header only; the hash of the manifest is compared with
    /// the bytes that [`BatchFile::read`] reads, and with those of the header.
    ///
    /// # Errors
    /// A file that is absent, or not what the manifest says.
    pub fn batch(&self, index: usize) -> Result<Option<BatchFile>, ActivationsError> {
        let Some(entry) = self.manifest.batches.get(index) else { return Ok(None) };
        let path = self.path.join(&entry.file);
        let mut batch = BatchFile::open(&path, &self.manifest.tensors)?;
        let (found, needed) = (batch.samples().len() as u64, entry.samples);
        if batch.header.index != index as u64 || found != needed || batch.bytes != entry.bytes {
            let what =
                format!("is not the file that {MANIFEST} names: {needed} samples and {} bytes", entry.bytes);
            return Err(ActivationsError::File { path, what });
        }
        batch.needed = Some(entry.sha256.clone());
        Ok(Some(batch))
    }
}

/// The text of a file that the manifest lists, which has to be what was written.
fn listed(path: &Path, name: &str, manifest: &Manifest) -> Result<String, ActivationsError> {
    let text = text(path)?;
    let found = StoredFile::of(name, text.as_bytes());
    match manifest.files.iter().find(|listed| listed.file == name) {
        Some(needed) if *needed != found => Err(changed(path, &found.sha256, &needed.sha256)),
        _ => Ok(text),
    }
}

/// A file whose bytes are not those that were written.
fn changed(path: &Path, found: &str, needed: &str) -> ActivationsError {
    let what = format!("has changed since it was captured: its sha256 is {found}, {MANIFEST} has {needed}");
    ActivationsError::File { path: path.to_owned(), what }
}

fn text(path: &Path) -> Result<String, ActivationsError> {
    std::fs::read_to_string(path).map_err(|source| ActivationsError::Io { path: path.to_owned(), source })
}

/// The file of a batch, of which only the header was read.
#[derive(Debug)]
pub struct BatchFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    header: BatchHeader,
    tensors: BTreeMap<TensorId, StoredTensor>,
    /// Of the bytes of the header, as they were read, and how many these are.
    begun: (Sha256, u64),
    /// The hash that the file has to have, where that is known.
    needed: Option<String>,
}

impl BatchFile {
    /// Opens a file that holds these tensors.
    ///
    /// # Errors
    /// [`ActivationsError::File`] if it is damaged, or lacks one of them.
    pub fn open(path: &Path, entries: &[StoredActivation]) -> Result<Self, ActivationsError> {
        let io = |source| ActivationsError::Io { path: path.to_owned(), source };
        let wrong = |what: String| ActivationsError::File { path: path.to_owned(), what };
        let mut file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let mut hashed = Hashed { file: &mut file, hash: Sha256::new(), at: 0 };
        let index = SafetensorsIndex::read(&mut hashed, bytes).map_err(wrong)?;
        let begun = (hashed.hash, hashed.at);
        let header = index.metadata.get("batch").ok_or_else(|| wrong("no metadata `batch`".to_owned()))?;
        let header = BatchHeader::from_json(header).map_err(|e| wrong(format!("metadata `batch`: {e}")))?;
        let mut tensors = BTreeMap::new();
        for entry in entries {
            let stored = index.tensors.get(&entry.key).filter(|stored| stored.dtype == entry.stored);
            let stored =
                stored.ok_or_else(|| wrong(format!("no tensor {} of {}", entry.key, entry.stored)))?;
            if entry.slice.is_none() {
                tensors.insert(entry.id, stored.clone());
            }
        }
        Ok(Self { path: path.to_owned(), file, bytes, header, tensors, begun, needed: None })
    }

    /// Position in the run, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.header.index
    }

    /// The samples, and what had been counted after them.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The samples, in the order of axis 0.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.header.samples
    }

    /// Reads the file once and keeps the tensors asked for, as far as they were captured. A batch of a folder is compared
    /// with the hash in its manifest.
    ///
    /// # Errors
    /// - [`ActivationsError::Io`] if the file cannot be read.
    /// - [`ActivationsError::File`] if it has changed since it was captured.
    pub fn read(&mut self, request: &CaptureRequest) -> Result<StoredActivations, ActivationsError> {
        let io = |source| ActivationsError::Io { path: self.path.clone(), source };
        let wanted = request.tensors().filter_map(|id| Some((id, self.tensors.get(&id)?)));
        let mut wanted: Vec<(TensorId, &StoredTensor)> = wanted.collect();
        wanted.sort_by_key(|(_, stored)| stored.start);
        let (hash, at) = self.begun.clone();
        self.file.seek(SeekFrom::Start(at)).map_err(io)?;
        let mut hashed = Hashed { file: &mut self.file, hash, at };
        let mut read = StoredActivations::default();
        for (id, stored) in wanted {
            hashed.pass(stored.start).map_err(io)?;
            let elements = elements(&mut hashed, stored).map_err(io)?;
            read.tensors.insert(id, OwnedTensor { shape: stored.shape.clone(), elements });
        }
        hashed.pass(self.bytes).map_err(io)?;
        let found: String = hashed.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        match &self.needed {
            Some(needed) if *needed != found => Err(changed(&self.path, &found, needed)),
            _ => Ok(read),
        }
    }
}

/// A file that is read in order, and the hash of what was read.
struct Hashed<'f> {
    file: &'f mut File,
    hash: Sha256,
    at: u64,
}

impl Hashed<'_> {
    /// Reads up to a place of the file.
    fn pass(&mut self, to: u64) -> std::io::Result<()> {
        let left = to.saturating_sub(self.at);
        let read = std::io::copy(&mut self.take(left), &mut std::io::sink())?;
        if read == left { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Read for Hashed<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(into)?;
        self.hash.update(into.get(..count).unwrap_or_default());
        self.at += count as u64;
        Ok(count)
    }
}

/// Tensors that were read.
#[derive(Debug, Default)]
pub struct StoredActivations {
    tensors: BTreeMap<TensorId, OwnedTensor>,
}

impl Activations for StoredActivations {
    fn tensor(&self, id: TensorId) -> Option<Result<TensorView<'_>, TensorError>> {
        self.tensors.get(&id).map(OwnedTensor::view)
    }
}

fn elements(file: &mut impl Read, at: &StoredTensor) -> std::io::Result<Elements> {
    Ok(match at.dtype {
        DType::Float32 => Elements::F32(convert(file, at.bytes, f32::from_le_bytes)?),
        DType::Float16 => Elements::F32(convert(file, at.bytes, |b| f16::from_le_bytes(b).to_f32())?),
        DType::BFloat16 => Elements::F32(convert(file, at.bytes, |b| bf16::from_le_bytes(b).to_f32())?),
        DType::Float64 => Elements::F64(convert(file, at.bytes, f64::from_le_bytes)?),
        DType::Int64 => Elements::I64(convert(file, at.bytes, i64::from_le_bytes)?),
        DType::Int32 => Elements::I32(convert(file, at.bytes, i32::from_le_bytes)?),
        _ => Elements::U8(convert(file, at.bytes, |[byte]| byte)?),
    })
}

/// Reads through a buffer that stays in the processor's cache.
fn convert<T, const N: usize>(
    file: &mut impl Read,
    bytes: u64,
    read: impl Fn([u8; N]) -> T,
) -> std::io::Result<Vec<T>> {
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut elements = Vec::with_capacity(left / N);
    let mut buffer = vec![0; left.min(1 << 18)];
    while left > 0 {
        let part = buffer.len().min(left);
        let Some(piece) = buffer.get_mut(..part) else { break };
        file.read_exact(piece)?;
        elements.extend(piece.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)));
        left -= part;
    }
    Ok(elements)
}
