//! From texts to batches.

mod ahead;
mod group;
#[cfg(test)]
mod tests;
mod windows;

use std::collections::VecDeque;

use fmrai_core::batch::Sample;

use self::ahead::Ahead;
pub(super) use self::group::{Group, Grouping, Singles};
use self::windows::{LeftOut, Read, WINDOW, Window, Windows};
use crate::data::encoding::Encoder;
use crate::data::fit::Fit;
use crate::data::records::Records;
use crate::data::{Batches, Counts, DataError, InputBatch, RefusedRecord};
use crate::files::FileInfo;

/// The batch size that the model takes in place of the one asked for.
pub(super) fn fitting(wanted: usize, taken: usize) -> usize {
    if taken != wanted {
        tracing::warn!(
            wanted,
            taken,
            "the model takes batches of another size than asked for: it was fixed when the model was exported"
        );
    }
    taken
}

/// Batches of the texts of one file.
///
/// A window of [`WINDOW`] batches is read, sorted by number of tokens (groups of the same length stay in order) and cut
/// into batches, so memory does not depend on the size of the file, and the batches are always the same. Each record that is not empty has a
/// place in a window and an id, also where it has no tokens, so windows that nobody wants are passed over without a tokenizer; a window with
/// texts without tokens may have fewer batches than it has indices. While batches of one window are handed out, other threads make the next.
pub(super) struct TextBatches<R, G> {
    windows: Ahead<R, G>,
    infos: Vec<FileInfo>,
    fit: Fit,
    padding: u32,
    /// Groups of a batch.
    batch_size: usize,
    limit: Option<u64>,
    /// Groups of the window that were not handed out.
    window: VecDeque<Group>,
    /// Groups of the window when it was filled, and where in the data they began and ended.
    filled: usize,
    span: (u64, u64),
    /// How far the data were read for it.
    read: Read,
    /// Records that were left out of the window: they count with its first batch, or with the last one before where there is none.
    left_out: LeftOut,
    /// Whether refused records are left out.
    lenient: bool,
    /// Records that were left out among the batches handed out.
    refused: Vec<RefusedRecord>,
    /// What the next call has to say.
    late: Option<DataError>,
    next_index: u64,
    /// The index of the first batch after the window, where it does not depend on the lengths of texts.
    after_window: Option<u64>,
    counts: Counts,
}

impl<R: Records + 'static, G: Grouping + 'static> TextBatches<R, G> {
    /// Batches of `batch_size` groups, or as many as the model takes, of the first `limit` ones of a file.
    pub(super) fn new(
        records: R,
        grouping: G,
        infos: Vec<FileInfo>,
        encoder: Encoder,
        batch_size: usize,
        limit: Option<u64>,
    ) -> Result<Self, DataError> {
        let batch_size = fitting(batch_size, encoder.fit.groups(batch_size, G::TEXTS, G::PLURAL)?);
        let (fit, padding) = (encoder.fit.clone(), encoder.padding());
        let windows = Windows::new(records, grouping, encoder, batch_size, limit);
        Ok(Self {
            read: windows.begun(),
            windows: Ahead::new(windows),
            infos,
            fit,
            padding,
            batch_size,
            limit,
            window: VecDeque::new(),
            filled: 0,
            span: (0, 0),
            left_out: LeftOut::default(),
            lenient: false,
            refused: Vec::new(),
            late: None,
            next_index: 0,
            after_window: None,
            counts: Counts::default(),
        })
    }

    /// Has a window, if there are more texts. Nothing comes after an error.
    fn filled(&mut self) -> Result<(), DataError> {
        if let Some(error) = self.late.take() {
            return Err(error);
        }
        if self.window.is_empty() && !self.read.ended {
            let window = self.windows.next(self.lenient).inspect_err(|_| self.read.ended = true)?;
            self.open(window);
        }
        Ok(())
    }

    /// From now on batches are those of this window.
    fn open(&mut self, window: Window) {
        let Window { groups, left_out, places: (own, before), span, read } = window;
        if self.fit.pads() {
            self.next_index += before;
            match groups.is_empty() {
                true => self.next_index += own,
                false => self.after_window = Some(self.next_index + own),
            }
        }
        self.left_out.add(left_out);
        (self.filled, self.span, self.read, self.window) = (groups.len(), span, read, groups.into());
    }

    /// Counts what was left out of a window.
    fn count_left_out(&mut self) {
        let LeftOut { empty, refused } = std::mem::take(&mut self.left_out);
        self.counts.skipped_empty += empty;
        self.refused.extend(refused);
    }

    /// Takes the groups of the next batch from the window.
    fn take(&mut self) -> Vec<Group> {
        let size = self.next_size();
        let groups = self.window.drain(..size).collect();
        self.next_index += 1;
        if self.window.is_empty()
            && let Some(after) = self.after_window.take()
        {
            self.next_index = after;
        }
        groups
    }

    /// Groups in the next batch: where the model takes no mask, all have the same length.
    fn next_size(&self) -> usize {
        let size = self.batch_size.min(self.window.len());
        match self.window.front() {
            Some(first) if !self.fit.pads() => {
                let equal = self.window.iter().take_while(|group| group.length() == first.length());
                equal.take(size).count()
            }
            _ => size,
        }
    }
}

impl<R: Records + 'static, G: Grouping + 'static> Batches for TextBatches<R, G> {
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError> {
        self.filled()?;
        if self.window.is_empty() {
            return Ok(None);
        }
        // Whoever wants one batch alone, as those do who look what the data are, wants no window after it.
        if self.window.len() < self.filled && !self.read.ended {
            self.windows.begin(self.lenient);
        }
        self.count_left_out();
        let index = self.next_index;
        let groups = self.take();
        for group in &groups {
            self.counts.texts += group.samples.len() as u64;
            self.counts.tokens += group.samples.iter().map(|s| s.token_ids.len() as u64).sum::<u64>();
            self.counts.truncated_texts += u64::from(group.truncated > 0);
            self.counts.truncated_tokens += group.truncated as u64;
        }
        let samples: Vec<Sample> = groups.into_iter().flat_map(|group| group.samples).collect();
        let (inputs, filler) = self.fit.inputs(&samples, self.padding)?;
        let whole = self.fit.whole();
        // So that what is empty at the end is counted with the last batch, and belongs to whoever reads that.
        match self.filled() {
            Ok(()) if self.window.is_empty() => self.count_left_out(),
            Ok(()) => {}
            Err(error) => self.late = Some(error),
        }
        Ok(Some(InputBatch { index, samples, inputs, whole, filler }))
    }

    fn leave_out_refused(&mut self) {
        self.lenient = true;
    }

    fn take_refused(&mut self) -> Vec<RefusedRecord> {
        std::mem::take(&mut self.refused)
    }

    fn pass_over(&mut self, count: u64) -> Result<u64, DataError> {
        let first = self.next_index;
        let until = first.saturating_add(count);
        while self.next_index < until {
            if !self.window.is_empty() {
                self.left_out = LeftOut::default();
                self.take();
                continue;
            }
            if self.read.ended && self.late.is_none() {
                break;
            }
            let far = !self.read.ended && self.fit.pads() && until - self.next_index >= WINDOW as u64;
            match far.then(|| self.windows.pass_over(self.lenient)).flatten() {
                Some(passed) => {
                    let (batches, read) = passed?;
                    (self.left_out, self.read) = (LeftOut::default(), read);
                    self.next_index += batches;
                }
                None => self.filled()?,
            }
        }
        Ok((self.next_index - first).min(count))
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes of the groups that were handed out: those that wait in the window have a share of its bytes. With a limit, what all
    /// groups would take if those to come were as long as those before.
    fn progress(&self) -> (u64, u64) {
        let (from, to) = self.span;
        let bytes: u64 = self.infos.iter().map(|info| info.bytes).sum();
        let waiting = self.window.len().min(self.filled) as u128;
        let share =
            (u128::from(to.saturating_sub(from)) * waiting).checked_div(self.filled as u128).unwrap_or(0);
        let done = (to - u64::try_from(share).unwrap_or(0)).min(bytes);
        let handed_out =
            self.limit.map(|limit| (limit - self.read.left).saturating_sub(self.window.len() as u64));
        let all = match (self.limit, handed_out) {
            (Some(limit), Some(groups @ 1..)) if !self.read.ended || self.read.left == 0 => {
                let all = u128::from(done) * u128::from(limit) / u128::from(groups);
                u64::try_from(all).unwrap_or(u64::MAX).clamp(done, bytes)
            }
            _ => bytes,
        };
        (done, all)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        Ok(self.infos.clone())
    }
}
