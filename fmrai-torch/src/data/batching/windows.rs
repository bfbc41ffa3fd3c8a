//! Windows of texts: as many as are read and sorted together.

use rayon::prelude::*;

use super::group::{Group, Grouping};
use crate::data::encoding::Encoder;
use crate::data::records::{Record, Records};
use crate::data::{DataError, RefusedRecord};

/// Batches of texts that are read ahead and sorted by length, so that rows of a batch need little padding.
pub(super) const WINDOW: usize = 64;

/// Records without a place in a batch.
#[derive(Default)]
pub(super) struct LeftOut {
    pub(super) empty: u64,
    pub(super) refused: Vec<RefusedRecord>,
}

/// The groups of some records that stand one after the other.
pub(super) struct Window {
    /// Sorted by length; of the same length in the order of the data. None where there are no more texts with tokens.
    pub(super) groups: Vec<Group>,
    /// What was left out among these records, and among those of windows before without any group.
    pub(super) left_out: LeftOut,
    /// Batches of its records as they were read, and of those of windows before without any group.
    pub(super) places: (u64, u64),
    /// Where in the data its records began and ended.
    pub(super) span: (u64, u64),
    /// How far the reading has come with it.
    pub(super) read: Read,
}

/// How far data were read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    /// Groups that may still be read.
    pub(super) left: u64,
    /// There are no more.
    pub(super) ended: bool,
}

/// Reads records window by window.
pub(super) struct Windows<R, G> {
    records: R,
    grouping: G,
    encoder: Encoder,
    /// Groups of a batch.
    batch_size: usize,
    read: Read,
    next_id: u64,
}

impl<R: Records, G: Grouping> Windows<R, G> {
    pub(super) fn new(
        records: R,
        grouping: G,
        encoder: Encoder,
        batch_size: usize,
        limit: Option<u64>,
    ) -> Self {
        let read = Read { left: limit.unwrap_or(u64::MAX), ended: false };
        Self { records, grouping, encoder, batch_size, read, next_id: 0 }
    }

    /// How far they are read before the first.
    pub(super) fn begun(&self) -> Read {
        self.read
    }

    /// The next window with groups, or one without where there are no more texts with tokens. Nothing comes after an error.
    /// `lenient` leaves out records that are refused.
    pub(super) fn next(&mut self, lenient: bool) -> Result<Window, DataError> {
        self.fill(lenient).inspect_err(|_| self.read.ended = true)
    }

    fn fill(&mut self, lenient: bool) -> Result<Window, DataError> {
        let (mut groups, mut left_out) = (Vec::new(), LeftOut::default());
        let (mut places, mut span) = ((0, 0), (0, self.records.bytes()));
        while groups.is_empty() && !self.read.ended {
            span.0 = self.records.bytes();
            let (mut found, first) = (Vec::new(), self.next_id);
            let read = self.read(lenient, &mut left_out, |record| found.push(record));
            let (grouping, encoder) = (&self.grouping, &self.encoder);
            let made = found.into_par_iter().map(|record| grouping.group(record?, encoder));
            let made: Vec<Result<Group, DataError>> = made.collect();
            for (id, made) in (first..).step_by(G::TEXTS).zip(made) {
                match made {
                    Ok(group) if group.samples.is_empty() => left_out.empty += 1,
                    Ok(mut group) => {
                        (id..).zip(&mut group.samples).for_each(|(id, sample)| sample.id = id);
                        groups.push(group);
                    }
                    Err(error) => left_out.refuse(error, lenient)?,
                }
            }
            places = (self.batches(read?), places.0 + places.1); // what is wrong with an earlier record is told first
            span.1 = self.records.bytes();
        }
        if self.next_id == 0 {
            let (what, empty) = (G::PLURAL, left_out.empty);
            let what = format!("there are no {what} in it, only {empty} empty records");
            return Err(DataError::File { path: self.encoder.path.clone(), what });
        }
        groups.sort_by_key(Group::length);
        Ok(Window { groups, left_out, places, span, read: self.read })
    }

    /// Passes over a window whose batches do not depend on the lengths of texts, and says how many these are, and how far it has come.
    pub(super) fn pass_over(&mut self, lenient: bool) -> Result<(u64, Read), DataError> {
        let places = self.read(lenient, &mut LeftOut::default(), drop)?;
        Ok((self.batches(places), self.read))
    }

    /// Reads as many records as a window has places, and says how many there were; blank ones have none. One that cannot be read has its
    /// place as any other where it may be left out, so what comes after it is the same whatever is wrong with it.
    fn read(
        &mut self,
        lenient: bool,
        left_out: &mut LeftOut,
        mut place: impl FnMut(Result<Record, DataError>),
    ) -> Result<usize, DataError> {
        let size = self.batch_size.saturating_mul(WINDOW);
        let mut places = 0;
        while places < size && self.read.left > 0 {
            match self.records.next() {
                Ok(None) => break,
                Ok(Some(record)) if record.is_blank() => {
                    left_out.empty += 1;
                    continue;
                }
                Ok(Some(record)) => place(Ok(record)),
                Err(error) if lenient && of_a_record(&error) => place(Err(error)),
                Err(error) => return Err(error),
            }
            places += 1;
            self.next_id += G::TEXTS as u64;
            self.read.left -= 1;
        }
        self.read.ended = places < size;
        Ok(places)
    }

    /// Batches of so many records.
    fn batches(&self, places: usize) -> u64 {
        places.div_ceil(self.batch_size) as u64
    }
}

/// True for what is wrong with a record that may be left out.
fn of_a_record(error: &DataError) -> bool {
    matches!(error, DataError::Record { .. })
}

impl LeftOut {
    pub(super) fn add(&mut self, other: Self) {
        self.empty += other.empty;
        self.refused.extend(other.refused);
    }

    /// Leaves a record out, or refuses the data.
    fn refuse(&mut self, error: DataError, lenient: bool) -> Result<(), DataError> {
        match error {
            DataError::Record { path, line, what } if lenient => {
                let file = path.file_name().unwrap_or(path.as_os_str());
                self.refused.push(RefusedRecord { what: format!("{}:{line}: {what}", file.display()) });
                Ok(())
            }
            error => Err(error),
        }
    }
}
