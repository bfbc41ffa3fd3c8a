//! Many files, read one after the other as if they were one.

use std::path::PathBuf;
use std::vec::IntoIter;

use super::DataError;
use super::batching::{Group, Groups};
use super::encoding::Encoder;
use super::records::Found;
use super::steady::SteadyFile;

/// Opens a file as something that is read group by group.
pub(super) type Open<'a, G> = Box<dyn Fn(PathBuf, SteadyFile) -> Result<G, DataError> + 'a>;

/// The groups of many files.
pub(super) struct Several<'a, G> {
    open: Open<'a, G>,
    rest: IntoIter<(PathBuf, SteadyFile)>,
    current: Option<(PathBuf, G, u64)>,
    /// Bytes of the files that were read to their end.
    done: u64,
}

impl<'a, G: Groups> Several<'a, G> {
    /// Files that are known, in this order. The first is opened at once, so that what is wrong with it is told before anything runs.
    pub(super) fn new(open: Open<'a, G>, files: Vec<(PathBuf, SteadyFile)>) -> Result<Self, DataError> {
        let mut several = Self { open, rest: files.into_iter(), current: None, done: 0 };
        several.advance()?;
        Ok(several)
    }

    /// Opens the next file, if there is one.
    fn advance(&mut self) -> Result<(), DataError> {
        self.done += self.current.take().map_or(0, |(_, _, bytes)| bytes);
        if let Some((path, file)) = self.rest.next() {
            let bytes = file.length();
            let groups = (self.open)(path.clone(), file)?;
            self.current = Some((path, groups, bytes));
        }
        Ok(())
    }

    fn next_of<T>(
        &mut self,
        mut next: impl FnMut(&mut G) -> Result<Option<Found<T>>, DataError>,
    ) -> Result<Option<Found<T>>, DataError> {
        while let Some((path, groups, _)) = &mut self.current {
            match next(groups) {
                Ok(None) => self.advance()?,
                // Who encodes a text does not know which of the files it is from.
                Err(DataError::Record { line, what, .. }) => {
                    return Err(DataError::Record { path: path.clone(), line, what });
                }
                found => return found,
            }
        }
        Ok(None)
    }
}

impl<G: Groups> Groups for Several<'_, G> {
    const PLURAL: &'static str = G::PLURAL;
    const TEXTS: usize = G::TEXTS;

    fn next(&mut self, encoder: &Encoder<'_>) -> Result<Option<Found<Group>>, DataError> {
        self.next_of(|groups| groups.next(encoder))
    }

    fn pass_over(&mut self) -> Result<Option<Found<()>>, DataError> {
        self.next_of(G::pass_over)
    }

    fn bytes(&self) -> u64 {
        self.done + self.current.as_ref().map_or(0, |(_, groups, _)| groups.bytes())
    }
}
