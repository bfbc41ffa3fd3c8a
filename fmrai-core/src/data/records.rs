//! Texts of a file, one after the other.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use super::DataError;
use super::steady::SteadyFile;

/// Longest record that is read, in bytes: a file without line ends is an error, not all memory there is.
pub(super) const MAX_RECORD: u64 = 16 << 20;

/// One text of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) text: String,
    /// The line it starts on, from 1.
    pub(super) line: u64,
}

/// Reads a file text by text.
pub(super) trait Records {
    /// The next text, which may be empty; `None` at the end.
    fn next(&mut self) -> Result<Option<Record>, DataError>;

    /// Bytes read so far.
    fn bytes(&self) -> u64;
}

/// The lines of a UTF-8 file, without `\n` or `\r\n`, and without a byte order mark.
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<SteadyFile>,
    line: u64,
    bytes: u64,
}

impl Lines {
    pub(super) fn new(path: PathBuf, file: SteadyFile) -> Self {
        Self { path, reader: BufReader::with_capacity(1 << 16, file), line: 0, bytes: 0 }
    }

    /// An error at the line that was read last.
    pub(super) fn error(&self, what: String) -> DataError {
        DataError::Record { path: self.path.clone(), line: self.line, what }
    }
}

impl Records for Lines {
    fn next(&mut self) -> Result<Option<Record>, DataError> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader)
            .take(MAX_RECORD + 1)
            .read_until(b'\n', &mut bytes)
            .map_err(|source| DataError::Io { path: self.path.clone(), source })?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        self.bytes += read as u64;
        if read as u64 > MAX_RECORD {
            return Err(self.error(format!("the line is longer than {} MiB", MAX_RECORD >> 20)));
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let mut text = String::from_utf8(bytes).map_err(|e| {
            self.error(format!("invalid UTF-8 at byte {} of the line", e.utf8_error().valid_up_to() + 1))
        })?;
        if self.line == 1 && text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Ok(Some(Record { text, line: self.line }))
    }

    fn bytes(&self) -> u64 {
        self.bytes
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
