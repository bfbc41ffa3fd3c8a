//! Tables of Apache Parquet: a text in one of the columns.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use ::bytes::Bytes;
use ::parquet::basic::{Repetition, Type as Physical};
use ::parquet::errors::{ParquetError, Result as ParquetResult};
use ::parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use ::parquet::record::reader::RowIter;
use ::parquet::record::{Field, Row};
use ::parquet::schema::types::Type;

use serde_json::Value;

use super::batching::Singles;
use super::records::{Record, Records, quoted};
use super::settings::text_source;
use super::steady::SteadyFile;
use super::{Batches, DataContext, DataError, DataSource};

text_source! {
    /// A table of Apache Parquet, the text in one column of strings; or a folder, or a pattern of such. Empty texts and those that are absent are
    /// left out and counted.
    pub struct ParquetTexts {
        /// Name of the column that holds the text.
        pub column: String,
        /// Names of further columns of strings, numbers and truth values that go with each text to analyses and captures; none by default.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub keep: Vec<String>,
    }
    reads: "texts", batch_size: 8, too_long: "are cut, and counted"
}

crate::register_data_source!(ParquetTexts, name: "parquet", summary: "tables of Apache Parquet, the text in one of the columns",
);

impl DataSource for ParquetTexts {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        let (column, keep) = (self.column.clone(), self.keep.clone());
        self.settings()
            .open_texts_of(context, Singles, move |path, file| Rows::new(path, file, &column, &keep))
    }
}

/// A file as its reader takes it: parts that begin anywhere.
struct Parts(SteadyFile);

impl Parts {
    fn from(&self, start: u64) -> ParquetResult<SteadyFile> {
        let mut file = self.0.again();
        file.seek(SeekFrom::Start(start))?;
        Ok(file)
    }
}

impl Length for Parts {
    fn len(&self) -> u64 {
        self.0.length()
    }
}

impl ChunkReader for Parts {
    type T = BufReader<SteadyFile>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(self.from(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let mut bytes = Vec::new();
        self.from(start)?.take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are not there")));
        }
        Ok(bytes.into())
    }
}

struct Rows {
    path: PathBuf,
    rows: RowIter<'static>,
    column: String,
    keep: Vec<String>,
    row: u64,
    count: u64,
    length: u64,
}

impl Rows {
    fn new(path: PathBuf, file: SteadyFile, column: &str, keep: &[String]) -> Result<Self, DataError> {
        let wrong = |what: String| DataError::File { path: path.clone(), what };
        let length = file.length();
        let opened = guarded(|| SerializedFileReader::new(Parts(file)));
        let reader = opened.map_err(|what| wrong(format!("no Parquet file: {what}")))?;
        let metadata = reader.metadata().file_metadata();
        let schema = metadata.schema();
        let names = || quoted(schema.get_fields().iter().map(|field| field.name()));
        let find = |name: &str| {
            let found = schema.get_fields().iter().find(|field| field.name() == name);
            found.ok_or_else(|| wrong(format!("no column {name:?}; there are {}", names())))
        };
        let single = |field: &Type| {
            field.is_primitive() && field.get_basic_info().repetition() != Repetition::REPEATED
        };
        let field = find(column)?;
        if !(single(field) && field.get_physical_type() == Physical::BYTE_ARRAY) {
            return Err(wrong(format!("the column {column:?} holds no strings; there are {}", names())));
        }
        let mut fields = vec![field.clone()];
        for name in keep.iter().filter(|name| *name != column) {
            let field = find(name)?;
            if !single(field) {
                return Err(wrong(format!(
                    "the column {name:?} holds no single values, so it cannot be kept"
                )));
            }
            fields.push(field.clone());
        }
        let count = u64::try_from(metadata.num_rows()).unwrap_or(0);
        let projection = Type::group_type_builder(schema.name()).with_fields(fields).build();
        let rows = guarded(|| RowIter::from_file_into(Box::new(reader)).project(Some(projection?)));
        let rows = rows.map_err(|what| wrong(format!("the column {column:?} cannot be read: {what}")))?;
        let (column, keep) = (column.to_owned(), keep.to_vec());
        Ok(Self { path, rows, column, keep, row: 0, count, length })
    }
}

/// What a call of the reader gives; its errors and panics as a message, since broken files are not always foreseen.
fn guarded<T>(call: impl FnOnce() -> ParquetResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("it is damaged".to_owned()),
    }
}

/// The text of a row; absent ones are empty.
fn text(row: &Row, column: &str) -> Result<String, String> {
    match row.get_column_iter().find(|(name, _)| *name == column).map(|(_, field)| field) {
        Some(Field::Str(text)) => Ok(text.clone()),
        Some(Field::Bytes(bytes)) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err("invalid UTF-8".to_owned()),
        },
        Some(Field::Null) | None => Ok(String::new()),
        Some(other) => Err(format!("is {other}, a string is needed")),
    }
}

/// A field of a row that is kept: as JSON has it, bytes as text; dates, decimals and the like in words.
fn kept(row: &Row, column: &str) -> Value {
    let Some((_, field)) = row.get_column_iter().find(|(name, _)| *name == column) else {
        return Value::Null;
    };
    match field {
        Field::Null => Value::Null,
        Field::Bool(x) => (*x).into(),
        Field::Byte(x) => (*x).into(),
        Field::Short(x) => (*x).into(),
        Field::Int(x) => (*x).into(),
        Field::Long(x) => (*x).into(),
        Field::UByte(x) => (*x).into(),
        Field::UShort(x) => (*x).into(),
        Field::UInt(x) => (*x).into(),
        Field::ULong(x) => (*x).into(),
        Field::Float(x) => f64::from(*x).into(),
        Field::Double(x) => (*x).into(),
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into(),
        other => other.to_string().into(),
    }
}

impl Records for Rows {
    fn next(&mut self) -> Result<Option<Record>, DataError> {
        let rows = &mut self.rows;
        let line = self.row + 1;
        let next = guarded(|| rows.next().transpose());
        let next = next.map_err(|what| DataError::Broken { path: self.path.clone(), line, what })?;
        let Some(row) = next else { return Ok(None) };
        self.row = line;
        let wrong = |what| DataError::Record { path: self.path.clone(), line, what };
        let text = text(&row, &self.column).map_err(wrong)?;
        let fields = self.keep.iter().map(|name| (name.clone(), kept(&row, name))).collect();
        Ok(Some(Record { fields, ..Record::new(text, line) }))
    }

    fn bytes(&self) -> u64 {
        let read = u128::from(self.length) * u128::from(self.row) / u128::from(self.count.max(1));
        u64::try_from(read).unwrap_or(self.length)
    }
}
