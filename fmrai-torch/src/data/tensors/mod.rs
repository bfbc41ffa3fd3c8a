//! Tensors in files: whatever inputs a model takes.

mod npy;
mod samples;
mod stored;

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use fmrai_core::batch::Vocabulary;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batching::fitting;
use super::ids;
use super::{Batches, Counts, DataContext, DataError, DataSource, InputBatch};
use crate::ffi::tensor::Tensor;
use crate::files::FileInfo;
use crate::model::{Axis, InputSpec, NamedTensors};
use crate::text::Tokenizer;
use samples::Misfit;
use stored::Stored;

/// Tensors in files, one for each input of the model: either `path`, a safetensors file whose tensors have the names of the
/// inputs, or `files`, a .npy file for each input. Axis 0 runs over the samples; inputs that the model takes without such
/// an axis are given whole with every batch. Element types and sizes have to be those that the model takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TensorFiles {
    /// A safetensors file, relative to the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// A .npy file for each input, relative to the plan, e.g. `{"pixel_values": "images.npy"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, PathBuf>,
    /// Inputs that are given whole with every batch though their axis 0 may vary: where a model has several axes of samples that do not run in
    /// step, as texts and images have in CLIP, the rows of all but one are named here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub whole: Vec<String>,
    /// Samples per batch, at least 1; 8 by default. A model that takes another number only is given that.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// Read the first samples only, at least 1; all by default.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
}

fn default_batch_size() -> usize {
    8
}

crate::register_data_source!(TensorFiles, name: "tensors", summary: "tensors in a safetensors file or .npy files, one for each input of the model",
);

impl TensorFiles {
    /// The tensors of a safetensors file, in batches of the default size.
    #[must_use]
    pub fn in_one(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..Self::of(BTreeMap::new()) }
    }

    /// A .npy file for each input, in batches of the default size.
    #[must_use]
    pub fn of(files: BTreeMap<String, PathBuf>) -> Self {
        Self { path: None, files, whole: Vec::new(), batch_size: default_batch_size(), limit: None }
    }
}

impl DataSource for TensorFiles {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        for (name, value) in [("batch_size", Some(self.batch_size as u64)), ("limit", self.limit)] {
            if value == Some(0) {
                return unsuitable(format!("{name} is 0, valid is 1 or more"));
            }
        }
        let mut infos = BTreeMap::new();
        let mut tensors = match (&self.path, self.files.is_empty()) {
            (Some(path), true) => {
                let path = context.base.join(path);
                let (tensors, info) = Stored::safetensors(&path, &file_name(&path))?;
                infos.insert(info.name.clone(), info);
                tensors
            }
            (None, false) => {
                let mut tensors = Vec::new();
                for (name, path) in &self.files {
                    let tensor = Stored::npy(name, &context.base.join(path), &path.display().to_string())?;
                    infos.insert(tensor.info().name.clone(), tensor.info().clone());
                    tensors.push(tensor);
                }
                tensors
            }
            _ => return unsuitable("data of type `tensors` needs either `path` or `files`".to_owned()),
        };
        match_names(&tensors, context.inputs)?;
        let order = |name: &str| context.inputs.iter().position(|spec| spec.name == name);
        tensors.sort_by_key(|tensor| order(&tensor.name));
        if let Some(name) = self.whole.iter().find(|name| !tensors.iter().any(|t| t.name == **name)) {
            let all: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
            return unsuitable(format!("whole: the data have no {name}, they have {}", all.join(", ")));
        }
        let layout = Layout::of(&tensors, context.inputs, &self.whole)?;
        let rows = self.limit.map_or(layout.rows, |limit| {
            usize::try_from(limit).map_or(layout.rows, |limit| limit.min(layout.rows))
        });
        let mut parts = Vec::new();
        for mut tensor in tensors {
            let sampled = layout.sampled.contains(&tensor.name);
            let (name, path) = (tensor.name.clone(), tensor.path().to_owned());
            let values = ids::valid(context.inputs, &name).cloned();
            let data = if sampled {
                Data::Sampled(tensor)
            } else {
                let whole = tensor.whole()?;
                let outside = values.as_ref().and_then(|valid| Some((ids::outside(&whole, valid)?, valid)));
                if let Some((ids::Outside { value, at }, valid)) = outside {
                    let what = format!("{name} holds {value} at {at:?}, {}", needed(valid));
                    return Err(DataError::File { path, what });
                }
                Data::Whole(whole)
            };
            parts.push(Part { name, path, values, data });
        }
        Ok(Box::new(TensorBatches {
            parts,
            infos: infos.into_values().collect(),
            vocabulary: context.tokenizer.map(Tokenizer::vocabulary),
            batch_size: fitting(
                self.batch_size,
                self.batch_size.clamp(layout.min, layout.max.unwrap_or(usize::MAX)),
            ),
            min: layout.min,
            rows,
            done: 0,
            next_index: 0,
            counts: Counts::default(),
        }))
    }
}

fn unsuitable<T>(what: String) -> Result<T, DataError> {
    Err(DataError::Unsuitable(what))
}

fn needed(valid: &RangeInclusive<i64>) -> String {
    format!("the model has rows for {} to {}", valid.start(), valid.end())
}

/// The likely reason why an axis does not fit, as the end of a message; empty for axes that may vary.
fn fixed_by_export(axis: Axis) -> String {
    let Axis::Fixed(size) = axis else { return String::new() };
    format!(
        "; a size that is one number, here {size}, was fixed when the model was exported: export it with `dynamic_shapes` and an \
         example of at least 2 in each axis that varies"
    )
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn all(inputs: &[InputSpec]) -> String {
    let inputs: Vec<String> = inputs
        .iter()
        .map(|spec| format!("{spec}{}", if spec.required { "" } else { " (optional)" }))
        .collect();
    if inputs.is_empty() { "no inputs".to_owned() } else { inputs.join(", ") }
}

/// Each tensor is an input of the model, of its element type and number of axes, and no required one is absent.
fn match_names(tensors: &[Stored], inputs: &[InputSpec]) -> Result<(), DataError> {
    for tensor in tensors {
        let Some(spec) = inputs.iter().find(|spec| spec.name == tensor.name) else {
            return unsuitable(format!("the model has no input {:?}, it takes {}", tensor.name, all(inputs)));
        };
        let found = format!("{} of shape {:?}", tensor.dtype, tensor.shape);
        let wrong_type = spec.dtype.is_some_and(|dtype| dtype != tensor.dtype);
        let wrong_rank = spec.axes.as_ref().is_some_and(|axes| axes.len() != tensor.shape.len());
        let wrong_axis = spec
            .axes
            .iter()
            .flatten()
            .zip(&tensor.shape)
            .skip(1)
            .find(|(axis, size)| !i64::try_from(**size).is_ok_and(|size| axis.accepts(size)));
        if wrong_type || wrong_rank || wrong_axis.is_some() {
            let reason = wrong_axis.filter(|_| !wrong_type && !wrong_rank);
            let reason = reason.map(|(axis, _)| fixed_by_export(*axis)).unwrap_or_default();
            return unsuitable(format!("{} is {found}, the model takes {spec}{reason}", tensor.name));
        }
    }
    let absent = |spec: &&InputSpec| spec.required && !tensors.iter().any(|t| t.name == spec.name);
    match inputs.iter().find(absent) {
        Some(spec) => unsuitable(format!("the data have no {}, the model takes {}", spec.name, all(inputs))),
        None if tensors.is_empty() => {
            unsuitable(format!("there are no tensors, the model takes {}", all(inputs)))
        }
        None => Ok(()),
    }
}

/// Which inputs run over the samples, and how many of them a batch may have.
struct Layout {
    sampled: Vec<String>,
    rows: usize,
    min: usize,
    max: Option<usize>,
}

impl Layout {
    /// Inputs whose axis 0 may vary run over the samples, others are given whole. Those of a fixed size run over the samples
    /// too, so many in each batch, where they hold as many as there are samples, or no axis 0 may vary.
    fn of(tensors: &[Stored], inputs: &[InputSpec], given: &[String]) -> Result<Self, DataError> {
        let spec = |tensor: &Stored| inputs.iter().find(|spec| spec.name == tensor.name);
        let first_axis = |tensor: &Stored| spec(tensor)?.axes.as_ref()?.first().copied();
        let with_rows =
            || tensors.iter().filter(|tensor| tensor.rows().is_some() && !given.contains(&tensor.name));
        let fixed = |tensor: &Stored| match first_axis(tensor) {
            Some(Axis::Fixed(size)) => usize::try_from(size).ok(),
            _ => None,
        };
        let free = with_rows().find(|tensor| fixed(tensor).is_none());
        let sampled: Vec<&Stored> = match free {
            Some(free) => {
                let rows = free.rows();
                let whole =
                    |tensor: &Stored| fixed(tensor).is_some_and(|n| rows != tensor.rows() || rows == Some(n));
                with_rows().filter(|tensor| !whole(tensor)).collect()
            }
            None => {
                let size = with_rows().next().and_then(first_axis);
                let rows = with_rows().filter(|t| first_axis(t) == size).filter_map(Stored::rows).max();
                // One that fits as it is, where others hold more samples, is the same for each batch.
                let whole = |tensor: &Stored| fixed(tensor) == tensor.rows() && tensor.rows() != rows;
                with_rows().filter(|tensor| first_axis(tensor) == size && !whole(tensor)).collect()
            }
        };
        let Some(first) = sampled.first() else {
            return unsuitable("no tensor of the data has an axis of samples".to_owned());
        };
        let rows = first.rows().unwrap_or(0);
        if let Some(other) = sampled.iter().find(|tensor| tensor.rows() != Some(rows)) {
            return unsuitable(format!(
                "{} has {rows} samples, {} has {}: axis 0 has to be equally long, or one of them given whole with every batch, as `whole`",
                first.name,
                other.name,
                other.rows().unwrap_or(0)
            ));
        }
        if rows == 0 {
            return unsuitable(format!("{} has no samples, its shape is {:?}", first.name, first.shape));
        }
        let (mut min, mut max) = (1, None);
        let size = |n: i64| usize::try_from(n).unwrap_or(0);
        for axis in sampled.iter().filter_map(|tensor| first_axis(tensor)) {
            let (low, high) = match axis {
                Axis::Fixed(n) => (n, Some(n)),
                Axis::Range { min, max } => (min, max),
            };
            min = min.max(size(low));
            max = max.into_iter().chain(high.map(size)).min();
        }
        if max.is_some_and(|max| max < min) {
            return unsuitable(format!("no number of samples fits all of {}", all(inputs)));
        }
        let not_sampled = tensors.iter().filter(|t| !sampled.iter().any(|s| s.name == t.name));
        for tensor in not_sampled.filter(|tensor| tensor.rows().is_some()) {
            if let (Some(axis), Some(spec), Some(rows)) = (first_axis(tensor), spec(tensor), tensor.rows())
                && !axis.accepts(i64::try_from(rows).unwrap_or(i64::MAX))
            {
                let found = format!("{} is {} of shape {:?}", tensor.name, tensor.dtype, tensor.shape);
                return unsuitable(format!("{found}, the model takes {spec}{}", fixed_by_export(axis)));
            }
        }
        Ok(Self { sampled: sampled.iter().map(|tensor| tensor.name.clone()).collect(), rows, min, max })
    }
}

/// An input of the model.
struct Part {
    name: String,
    path: PathBuf,
    /// The numbers that it may hold, where these are known.
    values: Option<RangeInclusive<i64>>,
    data: Data,
}

enum Data {
    /// Axis 0 runs over the samples.
    Sampled(Stored),
    /// Given whole with every batch.
    Whole(Tensor),
}

impl Part {
    /// What a batch of these samples gets, the last one `again` so many times.
    fn batch(&mut self, rows: Range<usize>, again: usize) -> Result<Tensor, DataError> {
        let stored = match &mut self.data {
            Data::Whole(tensor) => return Ok(tensor.clone()),
            Data::Sampled(stored) => stored,
        };
        let start = rows.start;
        let tensor = stored.read(rows, again)?;
        let outside = self.values.as_ref().and_then(|valid| Some((ids::outside(&tensor, valid)?, valid)));
        let Some((ids::Outside { value, at }, valid)) = outside else { return Ok(tensor) };
        let (row, place) = at.split_first().unwrap_or((&0, &[]));
        let sample = start + usize::try_from(*row).unwrap_or(0);
        let place = if place.is_empty() { String::new() } else { format!(" at {place:?}") };
        let what = format!("sample {sample}: {} holds {value}{place}, {}", self.name, needed(valid));
        Err(DataError::File { path: self.path.clone(), what })
    }
}

/// Batches of tensors in files. Only the rows of one batch are in memory.
struct TensorBatches<'a> {
    parts: Vec<Part>,
    /// The files, by the names that they have in results.
    infos: Vec<FileInfo>,
    vocabulary: Option<&'a Vocabulary>,
    batch_size: usize,
    /// Rows of a batch at least.
    min: usize,
    rows: usize,
    done: usize,
    next_index: u64,
    counts: Counts,
}

impl Batches for TensorBatches<'_> {
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError> {
        if self.done >= self.rows {
            return Ok(None);
        }
        let rows = self.done..self.rows.min(self.done + self.batch_size);
        let filler = self.min.saturating_sub(rows.len());
        let mut inputs = Vec::new();
        for part in &mut self.parts {
            match part.batch(rows.clone(), filler) {
                Ok(tensor) => inputs.push((part.name.clone(), tensor)),
                Err(error) => {
                    self.done = self.rows; // nothing comes after an error
                    return Err(error);
                }
            }
        }
        let inputs = NamedTensors(inputs);
        let whole = self.parts.iter().filter(|part| matches!(part.data, Data::Whole(_)));
        let whole: Vec<String> = whole.map(|part| part.name.clone()).collect();
        let samples = samples::of(&inputs, &whole, &rows, self.vocabulary);
        let samples = samples.map_err(|Misfit { input, what }| {
            self.done = self.rows;
            match self.parts.iter().find(|part| part.name == input) {
                Some(part) => DataError::File { path: part.path.clone(), what },
                None => DataError::Unsuitable(what),
            }
        })?;
        self.done = self.done.max(rows.end);
        self.counts.texts += samples.len() as u64;
        self.counts.tokens += samples.iter().map(|s| s.token_ids.len() as u64).sum::<u64>();
        let index = self.next_index;
        self.next_index += 1;
        Ok(Some(InputBatch { index, samples, inputs, whole, filler }))
    }

    fn pass_over(&mut self, count: u64) -> Result<u64, DataError> {
        let there = (self.rows - self.done).div_ceil(self.batch_size);
        let passed = usize::try_from(count).unwrap_or(usize::MAX).min(there);
        self.done = self.rows.min(self.done.saturating_add(passed.saturating_mul(self.batch_size)));
        self.next_index += passed as u64;
        Ok(passed as u64)
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn progress(&self) -> (u64, u64) {
        (self.done as u64, self.rows as u64)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        Ok(self.infos.clone())
    }
}
