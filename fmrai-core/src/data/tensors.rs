//! Ready tensors: inputs of any model, e.g. images or sounds, already in the form that the model takes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Batches, Counts, DataContext, DataError, DataSource, InputBatch, mapped};
use crate::analyzer::schema_of;
use crate::batch::Sample;
use crate::capture::call::copy_unseen;
use crate::model::{Axis, FileInfo, InputSpec, NamedTensors, SourceEntry};
use crate::tensor::DType;

pub(super) const ENTRY: SourceEntry = SourceEntry {
    name: "tensors",
    summary: "ready tensors: .safetensors named as the model's inputs, or one .npy file for each input",
    schema: schema_of::<Tensors>,
};

/// Samples per batch where neither the plan nor the model says.
const BATCH: usize = 8;

/// Ready tensors, named as the model's inputs. Axis 0 runs over the samples; inputs of the model without a batch axis are
/// given whole to every batch. Files are mapped, so that a batch is read when its turn comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tensors {
    /// A .safetensors file with a tensor for each input, or an .npy file for a model with one input; relative to the plan.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// A .npy file for each input, e.g. `{"pixel_values": "images.npy"}`; relative to the plan.
    #[serde(default)]
    pub files: BTreeMap<String, PathBuf>,
    /// Samples per batch, at least 1; what the model takes where that is fixed, else 8.
    #[serde(default)]
    pub batch_size: Option<usize>,
    /// Read the first samples only, at least 1; all by default.
    #[serde(default)]
    pub limit: Option<u64>,
}

#[typetag::serde(name = "tensors")]
impl DataSource for Tensors {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        for (name, value) in [("batch_size", self.batch_size.map(|n| n as u64)), ("limit", self.limit)] {
            if value == Some(0) {
                return Err(unsuitable(format!("{name} is 0, valid is 1 or more")));
            }
        }
        let (paths, mut tensors) = self.read(context)?;
        for (name, tensor) in &mut tensors {
            let spec = context.inputs.iter().find(|input| input.name == *name);
            check(name, tensor, spec, context.inputs)?;
        }
        if let Some(absent) =
            context.inputs.iter().find(|i| i.required && !tensors.iter().any(|(n, _)| *n == i.name))
        {
            let names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
            return Err(unsuitable(format!(
                "the model needs `{}`, the data have {}",
                absent.name,
                names.join(", ")
            )));
        }
        let parts = sort_out(tensors, context.inputs)?;
        let total = parts.samples.min(self.limit.unwrap_or(u64::MAX));
        let fixed = parts.rows;
        if let (Some(chosen), Some(fixed)) = (self.batch_size, fixed)
            && chosen != fixed
        {
            return Err(unsuitable(format!("batch_size is {chosen}, the model takes exactly {fixed}")));
        }
        let size = fixed.or(self.batch_size).unwrap_or(BATCH) as u64;
        Ok(Box::new(TensorBatches {
            paths,
            parts,
            total,
            size,
            fixed: fixed.is_some(),
            next: 0,
            index: 0,
            counts: Counts::default(),
        }))
    }
}

fn unsuitable(what: String) -> DataError {
    DataError::Unsuitable(what)
}

impl Tensors {
    /// The files, and the tensors in them by the names of inputs.
    fn read(&self, context: &DataContext<'_>) -> Result<(Vec<PathBuf>, Vec<(String, Tensor)>), DataError> {
        let mut paths = Vec::new();
        let mut tensors = Vec::new();
        match (&self.path, self.files.is_empty()) {
            (Some(path), true) => {
                let path = context.base.join(path);
                for (name, tensor) in mapped::open(&path)? {
                    let name = if name.is_empty() { only_input(context.inputs)? } else { name };
                    tensors.push((name, tensor));
                }
                paths.push(path);
            }
            (None, false) => {
                for (name, path) in &self.files {
                    let path = context.base.join(path);
                    let mut found = mapped::open(&path)?;
                    let position = found.iter().position(|(n, _)| n.is_empty() || n == name);
                    let position = position.ok_or_else(|| DataError::File {
                        path: path.clone(),
                        what: format!("has no tensor {name:?}"),
                    })?;
                    tensors.push((name.clone(), found.swap_remove(position).1));
                    paths.push(path);
                }
            }
            _ => return Err(unsuitable("either `path` or `files` is needed, and not both".to_owned())),
        }
        if tensors.is_empty() {
            let path = paths.first().cloned().unwrap_or_default();
            return Err(DataError::File { path, what: "has no tensors".to_owned() });
        }
        Ok((paths, tensors))
    }
}

/// The name of the one input that has to be given.
fn only_input(inputs: &[InputSpec]) -> Result<String, DataError> {
    let required: Vec<&InputSpec> = inputs.iter().filter(|input| input.required).collect();
    match required.as_slice() {
        [one] => Ok(one.name.clone()),
        several => {
            let names: Vec<&str> = several.iter().map(|input| input.name.as_str()).collect();
            let names = names.join(", ");
            Err(unsuitable(format!("the model takes {names}: name an .npy file for each in `files`")))
        }
    }
}

fn check(
    name: &str,
    tensor: &Tensor,
    spec: Option<&InputSpec>,
    inputs: &[InputSpec],
) -> Result<(), DataError> {
    let Some(spec) = spec else {
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        return Err(unsuitable(format!("the data have `{name}`, the model takes {}", names.join(", "))));
    };
    let found = DType::of(tensor);
    if let Some(needed) = spec.dtype.filter(|needed| *needed != found) {
        return Err(unsuitable(format!("`{name}` is of {found}, the model takes {needed}")));
    }
    let Some(axes) = &spec.axes else { return Ok(()) };
    let shape = tensor.size();
    // How long the first axis is depends on the batch.
    let fits =
        shape.len() == axes.len() && axes.iter().zip(&shape).skip(1).all(|(axis, size)| axis.accepts(*size));
    if fits {
        return Ok(());
    }
    let needed: Vec<String> = axes.iter().map(ToString::to_string).collect();
    Err(unsuitable(format!("`{name}` has the shape {shape:?}, the model takes [{}]", needed.join(", "))))
}

/// Tensors with a row for each sample, and those that every batch gets whole.
struct Parts {
    by_sample: Vec<(String, Tensor)>,
    whole: Vec<(String, Tensor)>,
    samples: u64,
    /// Rows that every batch has to have.
    rows: Option<usize>,
}

fn sort_out(tensors: Vec<(String, Tensor)>, inputs: &[InputSpec]) -> Result<Parts, DataError> {
    let first =
        |name: &str| inputs.iter().find(|i| i.name == name).and_then(|i| i.axes.as_ref()?.first().copied());
    let varies =
        |name: &str, tensor: &Tensor| tensor.dim() > 0 && !matches!(first(name), Some(Axis::Fixed(_)));
    let any_varies = tensors.iter().any(|(name, tensor)| varies(name, tensor));
    let mut parts = Parts { by_sample: Vec::new(), whole: Vec::new(), samples: 0, rows: None };
    let mut length: Option<(i64, String)> = None;
    for (name, tensor) in tensors {
        let rows = tensor.size().first().copied();
        let fixed = match first(&name) {
            Some(Axis::Fixed(size)) => Some(size),
            _ => None,
        };
        let (Some(rows), false) = (rows, any_varies && fixed.is_some() && fixed == rows) else {
            parts.whole.push((name, tensor));
            continue;
        };
        if let Some(fixed) = fixed {
            let fixed = usize::try_from(fixed).ok().filter(|n| *n > 0);
            if fixed.is_none() || parts.rows.is_some_and(|other| Some(other) != fixed) {
                return Err(unsuitable(format!(
                    "`{name}` has a first axis that does not fit the other inputs"
                )));
            }
            parts.rows = fixed;
        }
        match &length {
            Some((other, of)) if *other != rows => {
                return Err(unsuitable(format!("`{name}` has {rows} samples, `{of}` has {other}")));
            }
            _ => length = Some((rows, name.clone())),
        }
        parts.by_sample.push((name, tensor));
    }
    // Without any batch axis there is one batch.
    parts.samples = length.map_or(1, |(rows, _)| u64::try_from(rows).unwrap_or(0));
    Ok(parts)
}

struct TensorBatches {
    paths: Vec<PathBuf>,
    parts: Parts,
    total: u64,
    size: u64,
    /// Whether the last batch has to be filled up.
    fixed: bool,
    next: u64,
    index: u64,
    counts: Counts,
}

impl TensorBatches {
    fn rows(&self, tensor: &Tensor, count: u64) -> Result<Tensor, DataError> {
        let part = tensor.f_narrow(0, as_i64(self.next), as_i64(count))?;
        let missing = if self.fixed { self.size - count } else { 0 };
        if missing == 0 {
            // A copy, since the model may write its inputs.
            return own(&part);
        }
        let last = part.f_narrow(0, as_i64(count) - 1, 1)?;
        let mut rows = vec![part];
        rows.extend((0..missing).map(|_| last.shallow_clone()));
        Ok(Tensor::f_cat(&rows, 0)?)
    }
}

/// The elements in memory of their own.
fn own(tensor: &Tensor) -> Result<Tensor, DataError> {
    copy_unseen(&tensor.f_contiguous()?).map_err(unsuitable)
}

fn as_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Batches for TensorBatches {
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError> {
        if self.next >= self.total {
            return Ok(None);
        }
        let count = self.size.min(self.total - self.next);
        let mut inputs = Vec::new();
        for (name, tensor) in &self.parts.by_sample {
            inputs.push((name.clone(), self.rows(tensor, count)?));
        }
        for (name, tensor) in &self.parts.whole {
            inputs.push((name.clone(), own(tensor)?));
        }
        let inputs = NamedTensors(inputs);
        let mut samples = samples(&inputs, self.next, count)?;
        self.counts.texts += count;
        self.counts.tokens += samples.iter().map(|sample| sample.token_ids.len() as u64).sum::<u64>();
        if self.fixed {
            samples.resize_with(usize::try_from(self.size).unwrap_or(0), Sample::filler);
        }
        self.next += count;
        let index = self.index;
        self.index += 1;
        Ok(Some(InputBatch { index, samples, inputs }))
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn progress(&self) -> (u64, u64) {
        (self.next, self.total)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        self.paths
            .iter()
            .map(|path| {
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                FileInfo::read(path, &name).map_err(|source| DataError::Io { path: path.clone(), source })
            })
            .collect()
    }
}

/// The samples of a batch: with tokens if it has `input_ids` `[batch, token]`, where `attention_mask` says.
fn samples(inputs: &NamedTensors, first: u64, count: u64) -> Result<Vec<Sample>, DataError> {
    let integers = |name: &str| -> Result<Option<Vec<Vec<i64>>>, DataError> {
        match inputs.get(name) {
            Some(tensor) if tensor.dim() == 2 => {
                let rows = tensor.f_to_kind(Kind::Int64)?.f_unbind(0)?;
                Ok(Some(rows.into_iter().map(Vec::try_from).collect::<Result<_, _>>()?))
            }
            _ => Ok(None),
        }
    };
    let (ids, mask) = (integers("input_ids")?, integers("attention_mask")?);
    let mut samples = Vec::new();
    for row in 0..count {
        let position = usize::try_from(row).unwrap_or(0);
        let mut sample = Sample {
            id: first + row,
            text: None,
            token_ids: Vec::new(),
            special: Vec::new(),
            offsets: Vec::new(),
            span: Sample::WHOLE,
        };
        if let Some(ids) = ids.as_ref().and_then(|ids| ids.get(position)) {
            let mask = mask.as_ref().and_then(|mask| mask.get(position));
            let valid = |at: &usize| mask.is_none_or(|mask| mask.get(*at).is_some_and(|m| *m != 0));
            let start = (0..ids.len()).find(valid).unwrap_or(0);
            let end = (start..ids.len()).rev().find(valid).map_or(start, |last| last + 1);
            sample.token_ids = ids
                .iter()
                .skip(start)
                .take(end - start)
                .map(|id| u32::try_from(*id).unwrap_or(u32::MAX))
                .collect();
            sample.special = vec![false; sample.token_ids.len()];
            sample.offsets = vec![0..0; sample.token_ids.len()];
            sample.span = start..end;
        }
        samples.push(sample);
    }
    Ok(samples)
}
