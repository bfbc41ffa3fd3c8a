//! Files of texts as they are found: plain or compressed, one or many.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use fmrai_core::file_kind::{ENOUGH, FileKind};

use super::DataError;
use super::steady::SteadyFile;

/// The bytes of a text in UTF-8.
pub(super) struct TextFile {
    read: Box<dyn Read + Send>,
    place: Arc<AtomicU64>,
}

impl TextFile {
    /// A file as text; one that gzip or zstd has made smaller is read as what was compressed.
    pub(super) fn new(path: &Path, file: SteadyFile) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.to_owned(), source };
        let place = file.place();
        let stored = start(&mut file.again()).map_err(io)?;
        let kind = FileKind::of(&stored);
        let decoded = |file: SteadyFile| -> io::Result<Box<dyn Read + Send>> {
            Ok(match kind {
                Some(FileKind::Gzip) => Box::new(MultiGzDecoder::new(BufReader::new(file))),
                Some(FileKind::Zstd) => Box::new(zstd::stream::read::Decoder::new(file)?),
                _ => Box::new(file),
            })
        };
        if matches!(kind, Some(FileKind::Gzip | FileKind::Zstd)) {
            let within = start(decoded(file.again()).map_err(io)?.as_mut()).map_err(io)?;
            refuse(path, &within, " when it is decompressed")?;
        } else {
            refuse(path, &stored, "")?;
        }
        Ok(Self { read: decoded(file).map_err(io)?, place })
    }

    /// Bytes of the file that were read so far.
    pub(super) fn place(&self) -> u64 {
        self.place.load(Ordering::Relaxed)
    }
}

impl Read for TextFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.read.read(into)
    }
}

/// The first bytes.
fn start(file: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.take(ENOUGH as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// An error where what begins so is no text.
fn refuse(path: &Path, start: &[u8], when: &str) -> Result<(), DataError> {
    // A text may begin as other files do, but it has no bytes that are no text.
    let text = !start.contains(&0) && std::str::from_utf8(start).is_ok();
    let kind = match FileKind::of(start) {
        Some(kind @ (FileKind::LfsPointer(_) | FileKind::Utf16 | FileKind::Utf32)) => kind,
        None | Some(FileKind::Empty | FileKind::Json | FileKind::Html) => return Ok(()),
        Some(_) if text => return Ok(()),
        Some(kind) => kind,
    };
    let what = format!("needed is text in UTF-8, it is {kind}{when}");
    Err(DataError::File { path: path.to_owned(), what })
}

/// A file of data with the name that it has in results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedFile {
    pub(super) path: PathBuf,
    pub(super) name: String,
}

/// Looks for the files that a `path` of a plan's data stands for, which may be a pattern.
///
/// # Errors
/// [`DataError`] names what is not there.
pub fn find(path: &Path) -> Result<(), DataError> {
    for NamedFile { path, .. } in files(path)? {
        std::fs::metadata(&path).map_err(|source| DataError::Io { path, source })?;
    }
    Ok(())
}

/// The files that a path of a plan stands for: a file, all files of a folder and those below it, or those that a pattern such as
/// `shards/*.jsonl.gz` fits; sorted by name. Hidden files are left out.
pub(super) fn files(path: &Path) -> Result<Vec<NamedFile>, DataError> {
    let pattern = path.to_str().filter(|text| text.contains(['*', '?', '[']) && !path.exists());
    let (root, found) = if path.is_dir() {
        let pattern = format!("{}/**/*", glob::Pattern::escape(&path.to_string_lossy()));
        (path.to_owned(), matching(path, &pattern)?)
    } else if let Some(pattern) = pattern {
        let fixed = path.iter().take_while(|part| !part.to_string_lossy().contains(['*', '?', '[']));
        (fixed.collect(), matching(path, pattern)?)
    } else {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        return Ok(vec![NamedFile { path: path.to_owned(), name }]);
    };
    if found.is_empty() {
        return Err(DataError::File { path: path.to_owned(), what: "there is no file".to_owned() });
    }
    let name = |path: &Path| path.strip_prefix(&root).unwrap_or(path).to_string_lossy().into_owned();
    Ok(found.into_iter().map(|path| NamedFile { name: name(&path), path }).collect())
}

fn matching(path: &Path, pattern: &str) -> Result<Vec<PathBuf>, DataError> {
    let wrong = |what: String| DataError::File { path: path.to_owned(), what };
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let found = glob::glob_with(pattern, options).map_err(|e| wrong(format!("is no pattern: {e}")))?;
    let mut files = Vec::new();
    for entry in found {
        let file = entry.map_err(|e| DataError::Io { path: e.path().to_owned(), source: e.into() })?;
        if file.is_file() {
            files.push(file);
        }
    }
    Ok(files)
}
