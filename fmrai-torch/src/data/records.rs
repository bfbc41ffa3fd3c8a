//! Texts of a file, one after the other.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::DataError;
use super::text_file::TextFile;

/// Longest record that is read, in bytes: a file without line ends is an error, not all memory there is.
pub(super) const MAX_RECORD: u64 = 16 << 20;

/// One text of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) text: String,
    /// The line it starts on, from 1.
    pub(super) line: u64,
    /// Further fields of it that are kept.
    pub(super) fields: Map<String, Value>,
    /// The file it is from, where there may be several.
    pub(super) file: Option<Arc<Path>>,
}

impl Record {
    /// A text without further fields.
    pub(super) fn new(text: String, line: u64) -> Self {
        Self { text, line, fields: Map::new(), file: None }
    }

    /// True if there is nothing in it.
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// Reads a file text by text.
pub(super) trait Records: Send {
    /// The next text, which may be empty; `None` at the end.
    fn next(&mut self) -> Result<Option<Record>, DataError>;

    /// Bytes of the file that were read so far.
    fn bytes(&self) -> u64;
}

/// The lines of a UTF-8 file, without a byte order mark. A line ends with `\n`, `\r\n` or `\r`, as in Python.
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<TextFile>,
    line: u64,
    /// Whether the last line ended with `\r`: a `\n` that follows is a part of that end.
    after_return: bool,
}

impl Lines {
    pub(super) fn new(path: PathBuf, file: TextFile) -> Self {
        let reader = BufReader::with_capacity(1 << 16, file);
        Self { path, reader, line: 0, after_return: false }
    }

    /// An error at the line that was read last.
    pub(super) fn error(&self, what: String) -> DataError {
        DataError::Record { path: self.path.clone(), line: self.line, what }
    }

    /// The next line without its end; `None` at the end of the file.
    fn read(&mut self) -> Result<Option<Vec<u8>>, DataError> {
        let mut line = Vec::new();
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(DataError::Io { path: self.path.clone(), source }),
            };
            let after_return = std::mem::take(&mut self.after_return);
            let (end, done) = match buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                _ if buffer.is_empty() => return Ok((!line.is_empty()).then_some(line)),
                Some(0) if after_return && buffer.first() == Some(&b'\n') => (1, false),
                Some(end) => {
                    line.extend(buffer.get(..end).unwrap_or_default());
                    self.after_return = buffer.get(end) == Some(&b'\r');
                    (end + 1, true)
                }
                None => {
                    line.extend(buffer);
                    (buffer.len(), false)
                }
            };
            self.reader.consume(end);
            if done {
                return Ok(Some(line));
            }
            // What is too long is read to its end all the same, so that the next line is one, but not kept.
            line.truncate(usize::try_from(MAX_RECORD + 1).unwrap_or(usize::MAX));
        }
    }
}

impl Records for Lines {
    fn next(&mut self) -> Result<Option<Record>, DataError> {
        let Some(bytes) = self.read()? else { return Ok(None) };
        self.line += 1;
        if bytes.len() as u64 > MAX_RECORD {
            return Err(self.error(format!("the line is longer than {} MiB", MAX_RECORD >> 20)));
        }
        let mut text = String::from_utf8(bytes).map_err(|e| {
            self.error(format!("invalid UTF-8 at byte {} of the line", e.utf8_error().valid_up_to() + 1))
        })?;
        if self.line == 1 && text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Ok(Some(Record::new(text, self.line)))
    }

    fn bytes(&self) -> u64 {
        self.reader.get_ref().place()
    }
}

/// The names that there are, for messages: `"a", "b"`.
pub(super) fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.map(|name| format!("{name:?}")).collect();
    let more = names.len().saturating_sub(16);
    names.truncate(16);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
