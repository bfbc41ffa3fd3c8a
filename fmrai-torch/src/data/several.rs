//! Many files, read one after the other as if they were one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec::IntoIter;

use super::DataError;
use super::records::{Record, Records};
use super::steady::SteadyFile;

/// Opens a file as something that is read record by record.
pub(super) type Open<R> = Box<dyn Fn(PathBuf, SteadyFile) -> Result<R, DataError> + Send>;

/// The records of many files.
pub(super) struct Several<R> {
    open: Open<R>,
    rest: IntoIter<(PathBuf, SteadyFile)>,
    current: Option<(Arc<Path>, R, u64)>,
    /// Bytes of the files that were read to their end.
    done: u64,
}

impl<R: Records> Several<R> {
    /// Files that are known, in this order. The first is opened at once, so that what is wrong with it is told before anything runs.
    pub(super) fn new(open: Open<R>, files: Vec<(PathBuf, SteadyFile)>) -> Result<Self, DataError> {
        let mut several = Self { open, rest: files.into_iter(), current: None, done: 0 };
        several.advance()?;
        Ok(several)
    }

    /// Opens the next file, if there is one.
    fn advance(&mut self) -> Result<(), DataError> {
        self.done += self.current.take().map_or(0, |(_, _, bytes)| bytes);
        if let Some((path, file)) = self.rest.next() {
            let bytes = file.length();
            let records = (self.open)(path.clone(), file)?;
            self.current = Some((path.into(), records, bytes));
        }
        Ok(())
    }
}

impl<R: Records> Records for Several<R> {
    fn next(&mut self) -> Result<Option<Record>, DataError> {
        while let Some((path, records, _)) = &mut self.current {
            match records.next()? {
                None => self.advance()?,
                Some(record) => return Ok(Some(Record { file: Some(Arc::clone(path)), ..record })),
            }
        }
        Ok(None)
    }

    fn bytes(&self) -> u64 {
        self.done + self.current.as_ref().map_or(0, |(_, records, _)| records.bytes())
    }
}
