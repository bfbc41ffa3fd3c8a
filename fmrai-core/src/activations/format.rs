//! The documents of the format.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::ActivationsError;
use super::axes::axes;
use crate::batch::{Pair, Sample, Sequence};
use crate::graph::{Fingerprint, Graph, TensorId};
use crate::selector::{Selected, Selector, Slice};
use crate::structure::{AxisNames, Structure, StructureFile, Visible};
use crate::tensor::DType;

/// Version of the format.
pub const FORMAT: u32 = 2;
/// The oldest version that is read: its files differ in their names for tensors alone, and have no parts of tensors.
pub const OLDEST: u32 = 1;
/// The manifest, written last.
pub const MANIFEST: &str = "manifest.json";
/// The recorded graph, as [`to_json`](crate::graph::to_json) writes it.
pub const GRAPH: &str = "graph.json";
/// The vocabulary; absent where the input is not text.
pub const VOCABULARY: &str = "vocabulary.json";
/// Folder of the batches.
pub const BATCHES: &str = "batches";

pub(super) const STORABLE: &str =
    "float16, bfloat16, float32, float64, int8, int16, int32, int64, uint8 and bool";

/// The file of a batch, relative to the folder: `batches/000003.safetensors`.
#[must_use]
pub fn batch_file(index: u64) -> String {
    format!("{BATCHES}/{index:06}.safetensors")
}

/// Which element types the files have. Both keep every bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredAs {
    /// Those of the model.
    #[default]
    Stored,
    /// `float16` and `bfloat16` widened to `float32`, for programs that know neither; all others as in the model.
    Float32,
}

/// What `manifest.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub format: u32,
    /// Versions of what captured.
    pub versions: Value,
    /// The model: source, architecture, files with hashes.
    pub model: Value,
    /// The data: files with hashes, counts.
    pub data: Value,
    /// The comparison of the watched model's outputs with the untouched model's.
    pub parity: Value,
    /// Which form of attention ran where.
    pub kernels: Value,
    /// Fingerprint of the graph.
    pub fingerprint: Fingerprint,
    /// Which keys the queries of each block of attention see, in execution order, with what constants of the model say;
    /// empty in folders of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub visible: Vec<Visible>,
    /// What is otherwise than finders say, as people or a pass have corrected it; absent where nothing is, and in folders of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structure: Option<StructureFile>,
    /// What was asked for.
    pub select: Vec<Selector>,
    /// Element types in the files.
    pub dtype: StoredAs,
    /// The tensors that each batch has, in the order of their ids.
    pub tensors: Vec<StoredActivation>,
    /// The batches, in order.
    pub batches: Vec<BatchEntry>,
    /// The other files of the folder: graph and vocabulary. Empty in folders of older versions.
    #[serde(default)]
    pub files: Vec<StoredFile>,
}

/// A file of the folder that is no batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its path, relative to the folder.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it, lower-case hexadecimal.
    pub sha256: String,
}

impl StoredFile {
    /// What is said of a file that holds these bytes.
    #[must_use]
    pub fn of(file: &str, content: &[u8]) -> Self {
        let sha256 = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { file: file.to_owned(), bytes: content.len() as u64, sha256 }
    }
}

/// A captured tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredActivation {
    /// Its id in the graph.
    pub id: TensorId,
    /// Its name in the files: what was asked for, such as `model.layers.5` or `attention[3].probabilities`. In folders of version 1, its first
    /// label.
    pub key: String,
    /// Everything it is called.
    pub labels: Vec<String>,
    /// The part of the tensor that was captured, of a head or neuron; absent for whole tensors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<Slice>,
    /// Name of the value or input, where known.
    pub name: Option<String>,
    /// Path of the module that made it; empty where not known.
    pub module: String,
    /// The operation that made it; `None` for inputs.
    pub operation: Option<String>,
    /// The line of the model's source that it came from, where known.
    pub source: Option<String>,
    /// Element type in the model.
    pub dtype: DType,
    /// Element type in the files.
    pub stored: DType,
    /// Names of its axes, where these are known.
    pub axes: Option<Vec<String>>,
    /// Sizes in the first batch; each file has its own.
    pub shape: Vec<i64>,
}

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchEntry {
    /// Its file, relative to the folder.
    pub file: String,
    /// Number of samples.
    pub samples: u64,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
}

/// What a data source has counted, as a batch's file tells it.
#[derive(Debug, Clone, PartialEq)]
pub enum Counted {
    /// What this batch adds, whatever came before it.
    Added(Value),
    /// What had been read after this batch, from the beginning: in folders of versions up to 0.2.
    SoFar(Value),
}

/// The metadata `batch` of a batch's file.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchHeader {
    /// Position in the run, from 0.
    pub index: u64,
    /// What the data source has counted.
    pub counts: Counted,
    /// The samples, in the order of axis 0.
    pub samples: Vec<Sample>,
}

#[derive(Serialize, Deserialize)]
struct HeaderRecord {
    index: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counts: Option<Value>,
    samples: Vec<SampleRecord>,
}

/// A sample as it is written: ranges are pairs.
#[derive(Serialize, Deserialize)]
struct SampleRecord {
    id: u64,
    text: Option<Arc<str>>,
    token_ids: Vec<u32>,
    special: Vec<bool>,
    offsets: Vec<(usize, usize)>,
    span: (usize, usize),
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sequences: Vec<SequenceRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pair: Option<Pair>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
}

/// The tokens of another input of a sample, as they are written.
#[derive(Serialize, Deserialize)]
struct SequenceRecord {
    input: String,
    token_ids: Vec<u32>,
    special: Vec<bool>,
    span: (usize, usize),
}

impl SequenceRecord {
    fn of(sequence: &Sequence) -> Self {
        let Sequence { input, token_ids, special, span } = sequence.clone();
        Self { input, token_ids, special, span: (span.start, span.end) }
    }

    /// `None` if its lists do not fit each other.
    fn sequence(self) -> Option<Sequence> {
        let Self { input, token_ids, special, span: (start, end) } = self;
        let fits = special.len() == token_ids.len() && start <= end;
        fits.then_some(Sequence { input, token_ids, special, span: start..end })
    }
}

impl BatchHeader {
    /// As JSON.
    ///
    /// # Errors
    /// What serde says.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let samples = self.samples.iter().map(|s| SampleRecord {
            id: s.id,
            text: s.text.clone(),
            token_ids: s.token_ids.clone(),
            special: s.special.clone(),
            offsets: s.offsets.iter().map(|r| (r.start, r.end)).collect(),
            span: (s.span.start, s.span.end),
            sequences: s.sequences.iter().map(SequenceRecord::of).collect(),
            pair: s.pair.clone(),
            fields: s.fields.clone(),
        });
        let samples = samples.collect();
        let (added, counts) = match self.counts.clone() {
            Counted::Added(counts) => (Some(counts), None),
            Counted::SoFar(counts) => (None, Some(counts)),
        };
        serde_json::to_string(&HeaderRecord { index: self.index, added, counts, samples })
    }

    /// What [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let record: HeaderRecord = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let mut samples = Vec::with_capacity(record.samples.len());
        for sample in record.samples {
            let tokens = sample.token_ids.len();
            if sample.special.len() != tokens
                || sample.offsets.len() != tokens
                || sample.span.0 > sample.span.1
            {
                return Err(format!("the lists of sample {} do not fit its {tokens} tokens", sample.id));
            }
            let sequences = sample.sequences.into_iter().map(SequenceRecord::sequence);
            let sequences: Option<Vec<Sequence>> = sequences.collect();
            let sequences = sequences.ok_or_else(|| {
                format!("the lists of a sequence of sample {} do not fit each other", sample.id)
            })?;
            samples.push(Sample {
                id: sample.id,
                text: sample.text,
                token_ids: sample.token_ids,
                special: sample.special,
                offsets: sample.offsets.into_iter().map(|(start, end)| start..end).collect(),
                span: sample.span.0..sample.span.1,
                sequences,
                pair: sample.pair,
                fields: sample.fields,
            });
        }
        let counts = match (record.added, record.counts) {
            (Some(added), _) => Counted::Added(added),
            (None, Some(counts)) => Counted::SoFar(counts),
            (None, None) => return Err("missing field `added`".to_owned()),
        };
        Ok(Self { index: record.index, counts, samples })
    }
}

/// What of a selection can be captured.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries {
    /// An entry for each tensor.
    pub stored: Vec<StoredActivation>,
    /// Tensors that cannot be stored: what each was asked for as, and its element type.
    pub refused: Vec<(String, DType)>,
}

/// The entries of the selected tensors of a graph, whose axes have names where `structure` or the graph tells them.
///
/// `int8` and `int16` are stored as `int32`. Tensors of other types, such as complex numbers, refuse themselves alone.
///
/// # Errors
/// [`ActivationsError::Unstorable`] if none of them can be stored.
pub fn entries(
    graph: &dyn Graph,
    structure: &Structure,
    selected: &[Selected],
    dtype: StoredAs,
) -> Result<Entries, ActivationsError> {
    let mut taken = BTreeSet::new();
    let names = AxisNames::of(graph, structure);
    let mut entries = Entries { stored: Vec::with_capacity(selected.len()), refused: Vec::new() };
    for Selected { tensor, slice, name, labels, .. } in selected {
        let Some(node) = graph.tensor(*tensor) else { continue };
        let Some(stored) = stored_as(node.dtype, dtype) else {
            entries.refused.push((name.clone(), node.dtype));
            continue;
        };
        let sizes: Option<Vec<usize>> = node.shape.iter().map(|size| usize::try_from(*size).ok()).collect();
        let part = slice.as_ref().zip(sizes).and_then(|(slice, sizes)| slice.shape(&sizes));
        let part = part.map(|sizes| sizes.into_iter().filter_map(|size| i64::try_from(size).ok()).collect());
        let whole = names.tensor(*tensor).or_else(|| {
            let of = |label: &String| axes(graph, structure, label, node.shape.len());
            crate::selector::labels(graph, structure, *tensor).iter().find_map(of)
        });
        let operation = graph.producer(*tensor);
        let key = if taken.insert(name.clone()) { name.clone() } else { format!("{name}{tensor}") };
        entries.stored.push(StoredActivation {
            id: *tensor,
            key,
            labels: labels.clone(),
            slice: slice.clone(),
            name: node.name.clone(),
            module: operation.map(|o| o.module.clone()).unwrap_or_default(),
            operation: operation.map(|o| o.name.clone()),
            source: operation.and_then(|o| o.source.clone()),
            dtype: node.dtype,
            stored,
            axes: match slice {
                Some(slice) => whole.map(|names| slice.axes(&names)),
                None => whole,
            },
            shape: part.unwrap_or_else(|| node.shape.clone()),
        });
    }
    match entries.refused.first() {
        Some((label, dtype)) if entries.stored.is_empty() => {
            Err(ActivationsError::Unstorable { label: label.clone(), dtype: *dtype })
        }
        _ => Ok(entries),
    }
}

/// The element type in the files; `None` for types that have none there.
fn stored_as(dtype: DType, wanted: StoredAs) -> Option<DType> {
    use DType::{BFloat16, Bool, Float16, Float32, Float64, Int8, Int16, Int32, Int64, UInt8};
    match (dtype, wanted) {
        (Float16 | BFloat16, StoredAs::Float32) => Some(Float32),
        (Int8 | Int16, _) => Some(Int32),
        (d @ (Float16 | BFloat16 | Float32 | Float64 | Int32 | Int64 | UInt8 | Bool), _) => Some(d),
        _ => None,
    }
}
