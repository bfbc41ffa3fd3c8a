//! Tensors in files: whatever inputs a model takes.

mod npy;
mod samples;
mod stored;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::batching::default_batch_size;
use super::{Batches, Counts, DataContext, DataError, DataSource, InputBatch};
use crate::analyzer::schema_of;
use crate::batch::Vocabulary;
use crate::data::Tokenizer;
use crate::model::files::file_info;
use crate::model::{Axis, FileInfo, InputSpec, NamedTensors, SourceEntry};
use stored::Stored;

pub(super) const ENTRY: SourceEntry = SourceEntry {
    name: "tensors",
    summary: "tensors in a safetensors file or .npy files, one for each input of the model",
    schema: schema_of::<TensorFiles>,
};

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
    /// Samples per batch, at least 1; 8 by default. A model that takes another number only is given that.
    #[serde(default = "default_batch_size")]
    pub batch_size: usize,
    /// Read the first samples only, at least 1; all by default.
    #[serde(default)]
    pub limit: Option<u64>,
}

#[typetag::serde(name = "tensors")]
impl DataSource for TensorFiles {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        for (name, value) in [("batch_size", Some(self.batch_size as u64)), ("limit", self.limit)] {
            if value == Some(0) {
                return unsuitable(format!("{name} is 0, valid is 1 or more"));
            }
        }
        let mut paths = BTreeMap::new();
        let mut tensors = match (&self.path, self.files.is_empty()) {
            (Some(path), true) => {
                let path = context.base.join(path);
                let tensors = Stored::safetensors(&path)?;
                paths.insert(file_name(&path), path);
                tensors
            }
            (None, false) => {
                let mut tensors = Vec::new();
                for (name, path) in &self.files {
                    let whole = context.base.join(path);
                    tensors.push(Stored::npy(name, &whole)?);
                    paths.insert(path.display().to_string(), whole);
                }
                tensors
            }
            _ => return unsuitable("data of type `tensors` needs either `path` or `files`".to_owned()),
        };
        match_names(&tensors, context.inputs)?;
        let order = |name: &str| context.inputs.iter().position(|spec| spec.name == name);
        tensors.sort_by_key(|tensor| order(&tensor.name));
        let layout = Layout::of(&tensors, context.inputs)?;
        let rows = self.limit.map_or(layout.rows, |limit| {
            usize::try_from(limit).map_or(layout.rows, |limit| limit.min(layout.rows))
        });
        let mut parts = Vec::new();
        for mut tensor in tensors {
            let sampled = layout.sampled.contains(&tensor.name);
            let name = tensor.name.clone();
            parts.push((name, if sampled { Part::Sampled(tensor) } else { Part::Whole(tensor.whole()?) }));
        }
        Ok(Box::new(TensorBatches {
            parts,
            paths,
            vocabulary: context.tokenizer.map(Tokenizer::vocabulary),
            batch_size: self.batch_size.clamp(layout.min, layout.max.unwrap_or(usize::MAX)),
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
            .any(|(axis, &size)| !i64::try_from(size).is_ok_and(|size| axis.accepts(size)));
        if wrong_type || wrong_rank || wrong_axis {
            return unsuitable(format!("{} is {found}, the model takes {}", tensor.name, spec));
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
    /// Inputs whose axis 0 may vary run over the samples, others are given whole. If no axis 0 may vary, those run over the
    /// samples that have as many rows as the first input with axes, in the model and in the data; others are given whole.
    fn of(tensors: &[Stored], inputs: &[InputSpec]) -> Result<Self, DataError> {
        let spec = |tensor: &Stored| inputs.iter().find(|spec| spec.name == tensor.name);
        let first_axis = |tensor: &Stored| spec(tensor)?.axes.as_ref()?.first().copied();
        let with_rows = || tensors.iter().filter(|tensor| tensor.rows().is_some());
        let fixed = |tensor: &Stored| matches!(first_axis(tensor), Some(Axis::Fixed(_)));
        let sampled: Vec<&Stored> = if with_rows().all(fixed) {
            let first = with_rows().next();
            let (size, rows) = (first.and_then(first_axis), first.and_then(Stored::rows));
            let whole =
                |tensor: &Stored| tensor.rows() != rows && fits_whole(first_axis(tensor), tensor.rows());
            with_rows().filter(|tensor| first_axis(tensor) == size && !whole(tensor)).collect()
        } else {
            with_rows().filter(|tensor| !fixed(tensor)).collect()
        };
        let Some(first) = sampled.first() else {
            return unsuitable("no tensor of the data has an axis of samples".to_owned());
        };
        let rows = first.rows().unwrap_or(0);
        if let Some(other) = sampled.iter().find(|tensor| tensor.rows() != Some(rows)) {
            return unsuitable(format!(
                "{} has {rows} samples, {} has {}: axis 0 has to be equally long",
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
        for tensor in with_rows().filter(|t| !sampled.iter().any(|s| s.name == t.name)) {
            if let (Some(axis), Some(spec), Some(rows)) = (first_axis(tensor), spec(tensor), tensor.rows())
                && !axis.accepts(i64::try_from(rows).unwrap_or(i64::MAX))
            {
                let found = format!("{} is {} of shape {:?}", tensor.name, tensor.dtype, tensor.shape);
                return unsuitable(format!("{found}, the model takes {spec}"));
            }
        }
        Ok(Self { sampled: sampled.iter().map(|tensor| tensor.name.clone()).collect(), rows, min, max })
    }
}

/// True if an input can be given whole.
fn fits_whole(axis: Option<Axis>, rows: Option<usize>) -> bool {
    let rows = rows.and_then(|rows| i64::try_from(rows).ok());
    axis.zip(rows).is_some_and(|(axis, rows)| axis.accepts(rows))
}

/// An input of the model.
enum Part {
    /// Axis 0 runs over the samples.
    Sampled(Stored),
    /// Given whole with every batch.
    Whole(Tensor),
}

/// Batches of tensors in files. Only the rows of one batch are in memory.
struct TensorBatches<'a> {
    parts: Vec<(String, Part)>,
    /// The files by the names that they have in results.
    paths: BTreeMap<String, PathBuf>,
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
        for (name, part) in &mut self.parts {
            let tensor = match part {
                Part::Whole(tensor) => tensor.shallow_clone(),
                Part::Sampled(stored) => match stored.read(rows.clone(), filler) {
                    Ok(tensor) => tensor,
                    Err(error) => {
                        self.done = self.rows; // nothing comes after an error
                        return Err(error);
                    }
                },
            };
            inputs.push((name.clone(), tensor));
        }
        let inputs = NamedTensors(inputs);
        let whole = self.parts.iter().filter(|(_, part)| matches!(part, Part::Whole(_)));
        let whole: Vec<String> = whole.map(|(name, _)| name.clone()).collect();
        let samples = samples::of(&inputs, &whole, &rows, self.vocabulary);
        let samples = samples.inspect_err(|_| self.done = self.rows)?;
        self.done = self.done.max(rows.end);
        self.counts.texts += samples.len() as u64;
        self.counts.tokens += samples.iter().map(|s| s.token_ids.len() as u64).sum::<u64>();
        let index = self.next_index;
        self.next_index += 1;
        Ok(Some(InputBatch { index, samples, inputs, whole, filler }))
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn progress(&self) -> (u64, u64) {
        (self.done as u64, self.rows as u64)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        let info = |(name, path): (&String, &PathBuf)| {
            file_info(path, name).map_err(|source| DataError::Io { path: path.clone(), source })
        };
        self.paths.iter().map(info).collect()
    }
}
