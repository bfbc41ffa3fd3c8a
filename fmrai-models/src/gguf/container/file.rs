//! An open GGUF file, or all files of a split one.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fmrai_torch::files::FileError;

use super::fault::Fault;
use super::parse::Parsed;
use super::shards::{Parts, Split};
use super::tensor::TensorInfo;
use super::value::Value;

/// An open model whose header is known to fit its file.
///
/// It is never mapped to memory: where a mapped file becomes shorter, the process that reads it is killed.
#[derive(Debug)]
pub(crate) struct GgufFile {
    metadata: BTreeMap<String, Value>,
    tensors: Vec<TensorInfo>,
    parts: Vec<Part>,
}

/// One file of a model.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    name: String,
    length: u64,
    /// Where the data begin.
    start: u64,
    file: File,
}

impl GgufFile {
    /// Opens a file and checks its header. Where it is a part of a split model, the other parts are opened too: any of
    /// them may be given, and the metadata are those of the first.
    ///
    /// # Errors
    /// If a file cannot be read, is no GGUF file, or contradicts itself, its length or the other parts.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        let (part, parsed) = open(path)?;
        match Split::of(&parsed.metadata).map_err(|what| wrong(path, what))? {
            None => Self::joined(vec![(part, parsed)]),
            Some(split) => Self::open_parts(path, split, (part, parsed)),
        }
    }

    /// Keys and values. Of a split model these are those of its first file.
    pub(crate) fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }

    /// Tensors in the order of the file, those of the first file first.
    pub(crate) fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of this name.
    pub(crate) fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The path of the first file.
    pub(crate) fn path(&self) -> &Path {
        self.parts.first().map_or(Path::new(""), |part| &part.path)
    }

    /// The path of the file that a tensor is in.
    pub(crate) fn path_of(&self, tensor: &TensorInfo) -> &Path {
        self.parts.get(tensor.part).map_or_else(|| self.path(), |part| &part.path)
    }

    /// The files with their paths, names and lengths.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Path, &str, u64)> {
        self.parts.iter().map(|part| (part.path.as_path(), part.name.as_str(), part.length))
    }

    /// Reads the blocks of some rows of a tensor of this file, which are all that `buffer` holds then. A row is what lies
    /// along the last axis; a tensor of one axis or none is one row. Threads may read at once.
    ///
    /// # Errors
    /// If the tensor does not have these rows, or they cannot be read. What `buffer` holds then is not said.
    pub(crate) fn read(
        &self,
        tensor: &TensorInfo,
        first_row: u64,
        rows: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<(), FileError> {
        let Some(part) = self.parts.get(tensor.part) else {
            let path = self.parts.first().map_or(Path::new(""), |part| &part.path);
            return Err(wrong(path, format!("{} is not of this file", tensor.shown())));
        };
        if first_row.checked_add(rows).is_none_or(|end| end > tensor.rows()) {
            let what = format!(
                "{} has {} rows, {rows} from row {first_row} on were asked for",
                tensor.shown(),
                tensor.rows()
            );
            return Err(wrong(&part.path, what));
        }
        let Ok(length) = usize::try_from(rows * tensor.row_bytes()) else {
            let what = format!("{rows} rows of {} do not fit into memory", tensor.shown());
            return Err(wrong(&part.path, what));
        };
        buffer.resize(length, 0);
        let at = part.start + tensor.offset + first_row * tensor.row_bytes();
        part.file.read_exact_at(buffer, at).map_err(|error| {
            if error.kind() == ErrorKind::UnexpectedEof {
                let what = format!(
                    "it ends within {}, it had {} bytes when it was opened",
                    tensor.shown(),
                    part.length
                );
                return wrong(&part.path, what);
            }
            Fault::from(error).of(&part.path)
        })
    }

    fn open_parts(path: &Path, split: Split, given: (Part, Parsed)) -> Result<Self, FileError> {
        let parts = Parts::of(path, split).map_err(|what| wrong(path, what))?;
        parts.check_present().map_err(|what| wrong(path, what))?;
        let mut given = Some(given);
        let mut opened = Vec::new();
        for (number, path) in (0..).zip(parts.paths()) {
            let own = if number == split.number { given.take() } else { None };
            let (part, parsed) = own.map_or_else(|| open(&path), Ok)?;
            let found = Split::of(&parsed.metadata).map_err(|what| wrong(&path, what))?;
            if found.is_none_or(|found| (found.number, found.count) != (number, split.count)) {
                let found = found.map_or("no part of several".to_owned(), |found| {
                    format!("part {} of {}", found.number + 1, found.count)
                });
                let needed = format!("part {} of {}", number + 1, split.count);
                return Err(wrong(&path, format!("it is {found} by its metadata, {needed} by its name")));
            }
            opened.push((part, parsed));
        }
        let file = Self::joined(opened)?;
        let said = Split::of(&file.metadata).ok().flatten().and_then(|split| split.tensors);
        match (said, file.tensors.len() as u64) {
            (Some(said), found) if said != found => {
                let what =
                    format!("metadata \"split.tensors.count\" is {said}, the parts have {found} tensors");
                Err(wrong(file.parts.first().map_or(path, |part| &part.path), what))
            }
            _ => Ok(file),
        }
    }

    fn joined(opened: Vec<(Part, Parsed)>) -> Result<Self, FileError> {
        let (mut metadata, mut tensors, mut parts) = (None, Vec::new(), Vec::new());
        for (number, (part, parsed)) in opened.into_iter().enumerate() {
            metadata.get_or_insert(parsed.metadata);
            tensors.extend(parsed.tensors.into_iter().map(|tensor| tensor.in_part(number)));
            parts.push(part);
        }
        check_names(&tensors, &parts)?;
        Ok(Self { metadata: metadata.unwrap_or_default(), tensors, parts })
    }
}

fn open(path: &Path) -> Result<(Part, Parsed), FileError> {
    let io = |source| FileError::Io { path: path.to_owned(), source };
    // Before it is opened: to open a pipe takes until somebody writes to it.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(wrong(path, "a file is needed".to_owned()));
    }
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let reader = BufReader::with_capacity(1 << 16, &file);
    let parsed = Parsed::read(reader, length).map_err(|fault| fault.of(path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok((Part { path: path.to_owned(), name, length, start: parsed.start, file }, parsed))
}

fn check_names(tensors: &[TensorInfo], parts: &[Part]) -> Result<(), FileError> {
    let mut places = HashMap::new();
    let path = |number: usize| parts.get(number).map_or(Path::new(""), |part| &part.path);
    for tensor in tensors {
        if let Some(other) = places.insert(tensor.name.as_str(), tensor.part) {
            let what = if other == tensor.part {
                format!("{} stands twice, each name may stand once", tensor.shown())
            } else {
                format!("{} is in {} too, it may be in one of them", tensor.shown(), path(other).display())
            };
            return Err(wrong(path(tensor.part), what));
        }
    }
    Ok(())
}

fn wrong(path: &Path, what: String) -> FileError {
    Fault::Content(what).of(path)
}
