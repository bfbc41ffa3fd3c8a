//! CSV files with a header: a text in one of the columns.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::PathBuf;

use ::csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::batching::Singles;
use super::records::{MAX_RECORD, Record, Records, quoted};
use super::settings::text_source;
use super::text_file::TextFile;
use super::{Batches, DataContext, DataError, DataSource};

text_source! {
    /// A CSV file in UTF-8 with a header line, the text in one column. Fields with delimiters, quotes or line ends are
    /// quoted with `"`. Empty texts are left out and counted.
    pub struct Csv {
        /// Name of the column that holds the text, as in the header line.
        pub column: String,
        /// What separates the fields, one ASCII character; a comma by default.
        #[serde(default = "comma")]
        pub delimiter: char,
        /// Names of further columns whose fields go with each text to analyses and captures, as strings; none by default.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub keep: Vec<String>,
    }
    reads: "texts", batch_size: 8, too_long: "are cut, and counted"
}

fn comma() -> char {
    ','
}

crate::register_data_source!(Csv, name: "csv", summary: "CSV with a header line, the text in one of its columns",
);

impl DataSource for Csv {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        let delimiter = u8::try_from(self.delimiter)
            .ok()
            .filter(|c| c.is_ascii() && !matches!(c, b'"' | b'\r' | b'\n'))
            .ok_or_else(|| {
                let found = self.delimiter;
                let valid = "one ASCII character other than a quote or a line end";
                DataError::Unsuitable(format!("delimiter is {found:?}, valid is {valid}"))
            })?;
        let (column, keep) = (self.column.clone(), self.keep.clone());
        self.settings()
            .open_texts(context, Singles, move |path, file| Rows::new(path, file, delimiter, &column, &keep))
    }
}

/// Reads a file, but not beyond what is allowed: a quote left open must not read the rest of a large file as one field.
struct Guard {
    file: TextFile,
    /// Bytes that were read, and those that may be.
    bytes: u64,
    allowed: u64,
    /// The last byte that ends no line.
    last: u8,
    /// Bytes from the start of the record on.
    raw: VecDeque<u8>,
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes >= self.allowed {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let count = self.file.read(buffer)?;
        self.bytes += count as u64;
        let read = buffer.get(..count).unwrap_or_default();
        if let Some(&byte) = read.iter().rev().find(|byte| !matches!(byte, b'\r' | b'\n')) {
            self.last = byte;
        }
        self.raw.extend(read);
        Ok(count)
    }
}

/// How many lines end in these bytes: with `\n`, `\r\n` or `\r`. `after_return` tells whether a `\r` came before them.
fn line_ends(bytes: impl Iterator<Item = u8>, after_return: &mut bool) -> u64 {
    let ends = |byte: u8| {
        let end = byte == b'\r' || (byte == b'\n' && !*after_return);
        *after_return = byte == b'\r';
        end
    };
    bytes.map(ends).filter(|end| *end).count() as u64
}

struct Rows {
    path: PathBuf,
    reader: Reader<Guard>,
    column: usize,
    /// Columns that are kept beside it, with their names.
    keep: Vec<(String, usize)>,
    /// Lines and bytes before the start of the record. The reader's own line numbers ignore blank lines before a
    /// record, and come one late after `\r\n`.
    lines: u64,
    start: u64,
    /// Whether the last byte before it is `\r`, which ends a line together with a `\n` that follows.
    after_return: bool,
    /// Line of the last row, if its text has more than one line.
    open_line: Option<u64>,
    row: StringRecord,
}

impl Rows {
    fn new(
        path: PathBuf,
        file: TextFile,
        delimiter: u8,
        column: &str,
        keep: &[String],
    ) -> Result<Self, DataError> {
        let guard = Guard { file, bytes: 0, allowed: 0, last: 0, raw: VecDeque::new() };
        let reader = ReaderBuilder::new().delimiter(delimiter).from_reader(guard);
        let row = StringRecord::new();
        let mut rows = Self {
            path,
            reader,
            column: 0,
            keep: Vec::new(),
            lines: 0,
            start: 0,
            after_return: false,
            open_line: None,
            row,
        };
        rows.allow();
        let header = match rows.reader.headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(rows.error(error)),
        };
        rows.column = rows.place(&header, column)?;
        let keep = keep.iter().map(|name| Ok((name.clone(), rows.place(&header, name)?)));
        rows.keep = keep.collect::<Result<_, DataError>>()?;
        Ok(rows)
    }

    /// The number of a column.
    fn place(&self, header: &StringRecord, column: &str) -> Result<usize, DataError> {
        let mut matching =
            header.iter().enumerate().filter(|(_, name)| *name == column).map(|(index, _)| index);
        let wrong = |what| Err(DataError::Record { path: self.path.clone(), line: self.line(), what });
        match (matching.next(), matching.next()) {
            (Some(index), None) => Ok(index),
            (Some(_), Some(_)) => wrong(format!("more than one column {column:?}")),
            (None, _) if header.is_empty() => wrong(format!("no column {column:?}; there is no header")),
            (None, _) => {
                let other = |name: &str| name.contains([';', '\t', '|', ',']);
                let hint = match header.get(0) {
                    Some(name) if header.len() == 1 && other(name) => "; is `delimiter` another one?",
                    _ => "",
                };
                wrong(format!("no column {column:?}; there are {}{hint}", quoted(header.iter())))
            }
        }
    }

    /// Lets the reader go on as far as one record may reach, which starts here.
    fn allow(&mut self) {
        let start = self.reader.position().byte();
        let guard = self.reader.get_mut();
        guard.allowed = start + MAX_RECORD;
        let passed = usize::try_from(start - self.start).unwrap_or(usize::MAX).min(guard.raw.len());
        self.lines += line_ends(guard.raw.drain(..passed), &mut self.after_return);
        self.start = start;
    }

    /// The line that the record starts on.
    fn line(&self) -> u64 {
        let blank =
            self.reader.get_ref().raw.iter().copied().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        self.lines + 1 + line_ends(blank, &mut self.after_return.clone())
    }

    fn error(&self, error: ::csv::Error) -> DataError {
        let at = |what| DataError::Record { path: self.path.clone(), line: self.line(), what };
        let ends = |what| DataError::Broken { path: self.path.clone(), line: self.line(), what };
        match error.into_kind() {
            ErrorKind::Utf8 { err, .. } => at(format!("invalid UTF-8 in field {}", err.field() + 1)),
            ErrorKind::UnequalLengths { expected_len, len, .. } => {
                at(format!("{len} fields, the header has {expected_len}"))
            }
            ErrorKind::Io(source) if source.kind() == io::ErrorKind::FileTooLarge => {
                ends(format!("the record is longer than {} MiB; is a quote left open?", MAX_RECORD >> 20))
            }
            ErrorKind::Io(source) => DataError::Io { path: self.path.clone(), source },
            _ => ends("malformed CSV".to_owned()),
        }
    }
}

impl Records for Rows {
    fn next(&mut self) -> Result<Option<Record>, DataError> {
        self.allow();
        let mut row = std::mem::take(&mut self.row);
        let more = self.reader.read_record(&mut row).map_err(|e| self.error(e))?;
        if !more {
            let open = self.open_line.filter(|_| self.reader.get_ref().last != b'"');
            return match open {
                None => Ok(None),
                Some(line) => {
                    let what = "a quote is left open".to_owned();
                    Err(DataError::Broken { path: self.path.clone(), line, what })
                }
            };
        }
        let line = self.line();
        let text = row.get(self.column).unwrap_or_default().to_owned();
        let kept = |(name, at): &(String, usize)| (name.clone(), row.get(*at).unwrap_or_default().into());
        let fields = self.keep.iter().map(kept).collect();
        let last = row.iter().next_back().unwrap_or_default();
        self.open_line = last.contains(['\n', '\r']).then_some(line);
        self.row = row;
        Ok(Some(Record { fields, ..Record::new(text, line) }))
    }

    fn bytes(&self) -> u64 {
        self.reader.get_ref().file.place()
    }
}
