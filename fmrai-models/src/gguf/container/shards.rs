//! Which part of a split model a file is, by its metadata and by its name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::value::Value;

/// The definition gives 16 bits to the number of parts.
const MAX_PARTS: u64 = u16::MAX as u64;

/// Missing parts that a message names.
const NAMED: usize = 5;

/// What the metadata of a part say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// Which part it is, from 0.
    pub(super) number: u64,
    /// How many parts there are.
    pub(super) count: u64,
    /// Tensors of all parts together, where it says so.
    pub(super) tensors: Option<u64>,
}

impl Split {
    /// What the metadata of a file say; `None` for a model in one file.
    pub(super) fn of(metadata: &BTreeMap<String, Value>) -> Result<Option<Self>, String> {
        let number = |key: &str| {
            let wrong =
                |value: &Value| format!("metadata {key:?} is {value} ({}), a number is needed", value.kind());
            metadata.get(key).map(|value| value.as_u64().ok_or_else(|| wrong(value))).transpose()
        };
        let Some(count) = number("split.count")?.filter(|count| *count > 1) else { return Ok(None) };
        if count > MAX_PARTS {
            return Err(format!("metadata \"split.count\" is {count}, valid is up to {MAX_PARTS}"));
        }
        let Some(part) = number("split.no")?.filter(|part| *part < count) else {
            let found = metadata.get("split.no").map_or("not there".to_owned(), |value| format!("{value}"));
            return Err(format!(
                "metadata \"split.no\" is {found}, with {count} parts valid are 0 to {}",
                count - 1
            ));
        };
        Ok(Some(Self { number: part, count, tensors: number("split.tensors.count")? }))
    }
}

/// Names of parts: `X-00001-of-00003.gguf`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    folder: PathBuf,
    stem: String,
    /// How many parts there are.
    count: u64,
}

impl Parts {
    /// The parts beside the file at `path`, which is the one that `split` says.
    pub(super) fn of(path: &Path, split: Split) -> Result<Self, String> {
        let Split { number, count, .. } = split;
        let ending = ending(number, count);
        let stem = path.file_name().and_then(OsStr::to_str).and_then(|name| name.strip_suffix(&ending));
        let Some(stem) = stem else {
            return Err(format!(
                "it is part {} of {count} by its metadata, the name of which ends in {ending:?}: parts are found by \
                 their names",
                number + 1
            ));
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { folder, stem: stem.to_owned(), count })
    }

    /// The paths of all parts in their order.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        (0..self.count).map(|number| self.folder.join(self.name(number)))
    }

    /// Refuses a model of which parts are missing.
    pub(super) fn check_present(&self) -> Result<(), String> {
        let missing: Vec<String> = (0..self.count)
            .map(|number| self.name(number))
            .filter(|name| !self.folder.join(name).exists())
            .collect();
        let named = missing.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        match missing.len() {
            0 => Ok(()),
            n if n <= NAMED => {
                Err(format!("of its {} parts these are missing beside it: {named}", self.count))
            }
            n => Err(format!(
                "of its {} parts {n} are missing beside it: {named} and {} more",
                self.count,
                n - NAMED
            )),
        }
    }

    fn name(&self, number: u64) -> String {
        format!("{}{}", self.stem, ending(number, self.count))
    }
}

fn ending(number: u64, count: u64) -> String {
    format!("-{:05}-of-{count:05}.gguf", number + 1)
}
