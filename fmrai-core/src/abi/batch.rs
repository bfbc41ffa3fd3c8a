//! Batches across the boundary, without copying a tensor.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::raw::experiment::{Mark, Pair, ROLE_CLEAN, ROLE_CORRUPTED};
use super::raw::{self, DLTensor, Str, TENSOR_CONTIGUOUS, TENSOR_READ_ONLY, list, slice, text};
use super::tensor::{borrow, dimensions, lent, resident};
use crate::analyzer::AnalyzerError;
use crate::batch::{self, Batch, PairRole, Sample, Sequence};
use crate::graph::TensorId;
use crate::tensor::{DataView, DeviceTensor, TensorError, TensorView};
use crate::tracker::{Activations, CaptureRequest};

/// Calls `call` with a batch as C sees it: the tensors of `request` and all samples. With `on_device`, tensors of a CUDA
/// device stay there.
pub(super) fn lend<R>(
    batch: &Batch<'_>,
    request: &CaptureRequest,
    on_device: bool,
    call: impl FnOnce(*const raw::Batch) -> R,
) -> Result<R, AnalyzerError> {
    let mut shown = Vec::with_capacity(request.tensors().len());
    for id in request.tensors() {
        let at = if on_device { batch.on_device(id) } else { None };
        shown.push((
            id,
            match at {
                Some(tensor) => Shown::Resident(tensor),
                None => match batch.tensor(id) {
                    Ok(view) => Shown::Plain(view),
                    Err(AnalyzerError::Tensor { source, .. }) => Shown::Unreadable(source.to_string()),
                    Err(other) => return Err(other),
                },
            },
        ));
    }
    let sizes: Vec<Vec<i64>> = shown.iter().map(|(_, shown)| dimensions(shown.shape())).collect();
    let lent: Vec<Option<DLTensor>> = shown.iter().zip(&sizes).map(|((_, s), d)| s.lent(d)).collect();
    let tensors: Vec<raw::Tensor> = shown
        .iter()
        .zip(&lent)
        .map(|((id, shown), dl)| raw::Tensor {
            struct_size: raw::size::<raw::Tensor>(),
            id: id.0,
            flags: TENSOR_READ_ONLY | TENSOR_CONTIGUOUS,
            reserved: 0,
            dl: dl.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
            error: match shown {
                Shown::Unreadable(message) => Str::of(message),
                Shown::Resident(_) if dl.is_none() => Str::of("elements that DLPack has no type for"),
                _ => Str::NONE,
            },
            handle: match shown {
                Shown::Plain(view) => std::ptr::from_ref(view).cast(),
                _ => std::ptr::null(),
            },
        })
        .collect();
    let samples = LentSamples::of(batch.samples())?;
    let tensor_list: Vec<*const raw::Tensor> = tensors.iter().map(std::ptr::from_ref).collect();
    Ok(call(&raw::Batch {
        struct_size: raw::size::<raw::Batch>(),
        n_tensors: count(tensors.len()),
        index: batch.index(),
        tensors: tensor_list.as_ptr(),
        samples: samples.list().as_ptr(),
        n_samples: count(samples.list().len()),
        reserved: 0,
        stream: std::ptr::null_mut(),
    }))
}

/// Samples as C sees them, in lists that stay where they are.
pub(super) struct LentSamples {
    _offsets: Vec<Vec<u64>>,
    _sequences: Vec<Vec<raw::Sequence>>,
    _sequence_lists: Vec<Vec<*const raw::Sequence>>,
    _marks: Vec<Vec<Mark>>,
    _mark_lists: Vec<Vec<*const Mark>>,
    _pairs: Vec<Option<Box<Pair>>>,
    _fields: Vec<Option<String>>,
    _samples: Vec<raw::Sample>,
    list: Vec<*const raw::Sample>,
}

impl LentSamples {
    /// They are to live as long as what is made here.
    pub(super) fn of(all: &[Sample]) -> Result<Self, AnalyzerError> {
        let offsets: Vec<Vec<u64>> = all
            .iter()
            .map(|s| s.offsets.iter().flat_map(|r| [r.start as u64, r.end as u64]).collect())
            .collect();
        let sequences: Vec<Vec<raw::Sequence>> = all
            .iter()
            .map(|sample| sample.sequences.iter().map(|sequence| lent_sequence(sample, sequence)).collect())
            .collect::<Result<_, _>>()?;
        let sequence_lists: Vec<Vec<*const raw::Sequence>> =
            sequences.iter().map(|all| all.iter().map(std::ptr::from_ref).collect()).collect();
        let marks: Vec<Vec<Mark>> = all.iter().map(lent_marks).collect();
        let mark_lists: Vec<Vec<*const Mark>> =
            marks.iter().map(|all| all.iter().map(std::ptr::from_ref).collect()).collect();
        let pairs: Vec<Option<Box<Pair>>> =
            all.iter().zip(&mark_lists).map(|(sample, marks)| lent_pair(sample, marks)).collect();
        let fields: Vec<Option<String>> = all.iter().map(lent_fields).collect();
        let mut samples = Vec::with_capacity(all.len());
        for (at, sample) in all.iter().enumerate() {
            let tokens = sample.token_ids.len();
            if sample.special.len() != tokens || sample.offsets.len() != tokens {
                return Err(AnalyzerError::Other(format!(
                    "sample {} has token lists of different lengths",
                    sample.id
                )));
            }
            samples.push(raw::Sample {
                struct_size: raw::size::<raw::Sample>(),
                n_tokens: count(tokens),
                id: sample.id,
                text: Str::of_option(sample.text.as_deref()),
                token_ids: sample.token_ids.as_ptr(),
                special: sample.special.as_ptr().cast(),
                offsets: offsets[at].as_ptr(),
                span_begin: sample.span.start as u64,
                span_end: sample.span.end as u64,
                sequences: sequence_lists[at].as_ptr(),
                n_sequences: count(sequence_lists[at].len()),
                reserved: 0,
                pair: pairs[at].as_deref().map_or(std::ptr::null(), std::ptr::from_ref),
                fields: Str::of_option(fields[at].as_deref()),
            });
        }
        let list = samples.iter().map(std::ptr::from_ref).collect();
        Ok(Self {
            _offsets: offsets,
            _sequences: sequences,
            _sequence_lists: sequence_lists,
            _marks: marks,
            _mark_lists: mark_lists,
            _pairs: pairs,
            _fields: fields,
            _samples: samples,
            list,
        })
    }

    pub(super) fn list(&self) -> &[*const raw::Sample] {
        &self.list
    }
}

/// The fields of a sample as JSON; `None` where it has none.
fn lent_fields(sample: &Sample) -> Option<String> {
    (!sample.fields.is_empty()).then(|| serde_json::to_string(&sample.fields).unwrap_or_default())
}

fn lent_marks(sample: &Sample) -> Vec<Mark> {
    let marks = sample.pair.iter().flat_map(|pair| &pair.marks);
    let lent = marks.map(|(name, tokens)| Mark {
        struct_size: raw::size::<Mark>(),
        reserved: 0,
        name: Str::of(name),
        begin: tokens.start as u64,
        end: tokens.end as u64,
    });
    lent.collect()
}

fn lent_pair(sample: &Sample, marks: &[*const Mark]) -> Option<Box<Pair>> {
    let pair = sample.pair.as_ref()?;
    Some(Box::new(Pair {
        struct_size: raw::size::<Pair>(),
        role: match pair.role {
            PairRole::Clean => ROLE_CLEAN,
            PairRole::Corrupted => ROLE_CORRUPTED,
        },
        right: pair.right.as_ptr(),
        wrong: pair.wrong.as_ptr(),
        n_right: count(pair.right.len()),
        n_wrong: count(pair.wrong.len()),
        marks: marks.as_ptr(),
        n_marks: count(marks.len()),
        reserved: 0,
    }))
}

fn lent_sequence(sample: &Sample, sequence: &Sequence) -> Result<raw::Sequence, AnalyzerError> {
    let tokens = sequence.token_ids.len();
    if sequence.special.len() != tokens {
        let (id, input) = (sample.id, &sequence.input);
        return Err(AnalyzerError::Other(format!("sample {id} has lists of different lengths for {input}")));
    }
    Ok(raw::Sequence {
        struct_size: raw::size::<raw::Sequence>(),
        n_tokens: count(tokens),
        input: Str::of(&sequence.input),
        token_ids: sequence.token_ids.as_ptr(),
        special: sequence.special.as_ptr().cast(),
        span_begin: sequence.span.start as u64,
        span_end: sequence.span.end as u64,
    })
}

/// A tensor as it is shown to the other side.
enum Shown<'a> {
    Plain(TensorView<'a>),
    Resident(DeviceTensor<'a>),
    Unreadable(String),
}

impl Shown<'_> {
    fn shape(&self) -> &[usize] {
        match self {
            Self::Plain(view) => view.shape(),
            Self::Resident(tensor) => tensor.shape(),
            Self::Unreadable(_) => &[],
        }
    }

    fn lent(&self, dimensions: &[i64]) -> Option<DLTensor> {
        match self {
            Self::Plain(view) => Some(lent(view, dimensions)),
            Self::Resident(tensor) => resident(tensor, dimensions),
            Self::Unreadable(_) => None,
        }
    }
}

/// A length of a list; no list of a batch is longer than 32 bits count.
pub(super) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A batch of the other side, its tensors still borrowed.
pub(super) struct Received<'a> {
    index: u64,
    samples: Vec<Sample>,
    tensors: BTreeMap<TensorId, Result<(Vec<usize>, DataView<'a>), String>>,
}

impl<'a> Received<'a> {
    /// # Safety
    /// `batch` is a batch of the other side that lives for `'a`.
    pub(super) unsafe fn read(batch: *const raw::Batch) -> Result<Self, String> {
        // SAFETY: the caller's promise, here and below.
        let batch = unsafe { raw::read_prefix(batch) }?;
        // SAFETY: as above.
        let samples = unsafe { read_samples(batch.samples, batch.n_samples) }?;
        let mut tensors = BTreeMap::new();
        // SAFETY: as above.
        for tensor in unsafe { list(batch.tensors, batch.n_tensors) }? {
            // SAFETY: as above.
            let error = unsafe { text(tensor.error) }?;
            let read = match error {
                Some(error) => Err(error.to_owned()),
                // SAFETY: as above.
                None => unsafe { borrow(tensor.dl) },
            };
            tensors.insert(TensorId(tensor.id), read);
        }
        Ok(Self { index: batch.index, samples, tensors })
    }

    pub(super) fn batch(&self) -> Batch<'_> {
        Batch::new(self.index, &self.samples, self)
    }
}

impl Activations for Received<'_> {
    fn tensor(&self, id: TensorId) -> Option<Result<TensorView<'_>, TensorError>> {
        Some(match self.tensors.get(&id)? {
            Ok((shape, data)) => TensorView::new(shape, *data),
            Err(message) => Err(TensorError::Unreadable(message.clone())),
        })
    }
}

/// Samples of the other side.
///
/// # Safety
/// As for [`list`], and the pointers of each sample are valid.
pub(super) unsafe fn read_samples(
    samples: *const *const raw::Sample,
    count: u32,
) -> Result<Vec<Sample>, String> {
    // SAFETY: the caller's promise.
    let raw = unsafe { list(samples, count) }?;
    // SAFETY: as above.
    raw.iter().map(|sample| unsafe { read_sample(sample) }).collect()
}

/// # Safety
/// `pair` is NULL or lives, and its pointers are valid for the numbers beside them.
unsafe fn read_pair(pair: *const Pair) -> Result<Option<batch::Pair>, String> {
    if pair.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise, here and below.
    let pair = unsafe { raw::read_prefix(pair) }?;
    let mut marks = BTreeMap::new();
    // SAFETY: as above.
    for mark in unsafe { list(pair.marks, pair.n_marks) }? {
        let position = |x: u64| usize::try_from(x).unwrap_or(usize::MAX);
        // SAFETY: as above.
        let name = unsafe { text(mark.name) }?.unwrap_or_default().to_owned();
        marks.insert(name, position(mark.begin)..position(mark.end));
    }
    // SAFETY: as above.
    let (right, wrong) =
        unsafe { (slice(pair.right, pair.n_right as usize), slice(pair.wrong, pair.n_wrong as usize)) };
    let role = match pair.role {
        ROLE_CLEAN => PairRole::Clean,
        ROLE_CORRUPTED => PairRole::Corrupted,
        other => return Err(format!("there is no role {other} of a pair")),
    };
    Ok(Some(batch::Pair { role, right: right.to_vec(), wrong: wrong.to_vec(), marks }))
}

/// # Safety
/// The pointers of the sample are valid for its number of tokens.
unsafe fn read_sample(sample: &raw::Sample) -> Result<Sample, String> {
    let tokens = sample.n_tokens as usize;
    // SAFETY: the caller's promise.
    let token_ids = unsafe { slice(sample.token_ids, tokens) };
    // SAFETY: as above.
    let special = unsafe { slice(sample.special, tokens) };
    // SAFETY: as above.
    let offsets = unsafe { slice(sample.offsets, tokens.saturating_mul(2)) };
    // SAFETY: as above.
    let text = unsafe { text(sample.text) }?;
    // SAFETY: as above.
    let fields = unsafe { self::text(sample.fields) }?;
    let position = |x: u64| usize::try_from(x).unwrap_or(usize::MAX);
    let mut sequences = Vec::with_capacity(sample.n_sequences as usize);
    // SAFETY: as above.
    for sequence in unsafe { list(sample.sequences, sample.n_sequences) }? {
        let tokens = sequence.n_tokens as usize;
        // SAFETY: as above, for the number of tokens of the sequence.
        let (token_ids, special) =
            unsafe { (slice(sequence.token_ids, tokens), slice(sequence.special, tokens)) };
        sequences.push(Sequence {
            // SAFETY: as above.
            input: unsafe { self::text(sequence.input) }?.unwrap_or_default().to_owned(),
            token_ids: token_ids.to_vec(),
            special: special.iter().map(|s| *s != 0).collect(),
            span: position(sequence.span_begin)..position(sequence.span_end),
        });
    }
    Ok(Sample {
        id: sample.id,
        text: text.map(Arc::from),
        token_ids: token_ids.to_vec(),
        special: special.iter().map(|s| *s != 0).collect(),
        offsets: offsets.as_chunks::<2>().0.iter().map(|[a, b]| position(*a)..position(*b)).collect(),
        span: position(sample.span_begin)..position(sample.span_end),
        sequences,
        // SAFETY: as above.
        pair: unsafe { read_pair(sample.pair) }?,
        fields: match fields {
            Some(json) => serde_json::from_str(json)
                .map_err(|error| format!("the fields of sample {}: {error}", sample.id))?,
            None => serde_json::Map::new(),
        },
    })
}
