//! The memory that a run may take: how many samples of a batch run together under it.
//!
//! What a pass takes is learned from the passes before. Its tensors grow at least as fast as the number of positions of all rows together, and
//! at most as fast as that times the length of a row, so what was measured once bounds what comes next. Where nothing is known yet, or what comes
//! next is much larger than what was seen, a few samples are tried first.

use fmrai_torch::{MemoryMeter, give_back_freed_pages};

use super::error::RunError;
use crate::error::Error;
use crate::plan::Bytes;
use crate::resident::Sampler;

/// Of what is allowed, so many of so many parts are planned with: the allocator and the system need some that nobody counts.
const PLANNED: (u64, u64) = (15, 16);
/// Conclusions are drawn, and pictures of them, when all batches are over: so many bytes are left for that, beside what analyses tell.
const FOR_CONCLUSIONS: u64 = 48 << 20;
/// Of the memory that a model may take, so many of so many parts are for its weights.
const FOR_WEIGHTS: (u64, u64) = (2, 3);
/// How many times more positions than seen before are tried at once.
const BOLDER: usize = 2;

/// The memory that a run may take; without a limit, nothing is measured.
#[derive(Debug, Default)]
pub(super) struct Budget {
    limited: Option<Limited>,
    /// Positions of all rows together for which the system has had no memory.
    lacked: Option<usize>,
}

#[derive(Debug)]
struct Limited {
    limit: u64,
    sampler: Sampler,
    learned: Learned,
    /// What is left for states that grow, and for conclusions.
    left_free: u64,
}

impl Limited {
    /// What is planned with for weights and batches.
    fn planned(&self) -> u64 {
        (self.limit / PLANNED.1 * PLANNED.0).saturating_sub(self.left_free)
    }
}

/// What passes have taken.
#[derive(Debug, Default)]
struct Learned {
    /// The one on most positions, and the last one that is at least half of it.
    seen: Vec<Seen>,
    /// What they took beside tensors of libtorch, at most.
    rest: u64,
}

/// Rows of so many positions each, and the bytes of tensors that they took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    size: Size,
    tensors: u64,
}

/// How large the inputs of a pass are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) positions: usize,
}

impl Size {
    fn all(self) -> usize {
        self.rows.max(1).saturating_mul(self.positions.max(1))
    }
}

/// A piece that is being measured.
pub(super) struct Measuring {
    meter: MemoryMeter,
    before: u64,
}

impl Budget {
    /// # Errors
    /// [`Error::Usage`] where the system does not tell how much memory a process holds.
    pub(super) fn new(limit: Option<Bytes>) -> Result<Self, Error> {
        let Some(Bytes(limit)) = limit else { return Ok(Self::default()) };
        let sampler = Sampler::new().map_err(|error| Error::Usage(format!("limits.memory: {error}")))?;
        Ok(Self {
            limited: Some(Limited {
                limit,
                sampler,
                learned: Learned::default(),
                left_free: FOR_CONCLUSIONS,
            }),
            lacked: None,
        })
    }

    /// True if there is a limit.
    pub(super) fn is_set(&self) -> bool {
        self.limited.is_some()
    }

    /// True if a batch may have to be cut.
    pub(super) fn cuts(&self) -> bool {
        self.is_set() || self.lacked.is_some()
    }

    /// Analyses may take so many bytes more than they hold now.
    pub(super) fn leave(&mut self, ahead: u64) {
        if let Some(limited) = &mut self.limited {
            limited.left_free = FOR_CONCLUSIONS.saturating_add(ahead);
        }
    }

    /// The system has no memory for a pass of this size.
    pub(super) fn lacked(&mut self, size: Size) {
        let all = size.all();
        self.lacked = Some(self.lacked.map_or(all, |before| before.min(all)));
    }

    /// Most bytes that weights may take.
    ///
    /// # Errors
    /// [`RunError::Memory`] where the program itself takes more than what is allowed.
    pub(super) fn weight_bytes(&self) -> Result<Option<u64>, RunError> {
        let Some(Limited { limit, sampler, .. }) = &self.limited else { return Ok(None) };
        let held = sampler.begin();
        match limit.saturating_sub(held) {
            0 => Err(RunError::Memory {
                what: format!("the program itself holds {}", Bytes(held)),
                limit: Bytes(*limit),
                needed: Bytes(held + held / 2),
            }),
            left => Ok(Some(left / FOR_WEIGHTS.1 * FOR_WEIGHTS.0)),
        }
    }

    /// How many of so many rows run together.
    ///
    /// # Errors
    /// [`RunError::Memory`] if not even one fits.
    pub(super) fn rows(&self, size: Size) -> Result<usize, RunError> {
        let fewer = self.lacked.map(|lacked| lacked / 2 / size.positions.max(1));
        let size = Size { rows: fewer.map_or(size.rows, |fewer| size.rows.min(fewer.max(1))), ..size };
        let Some(limited) = &self.limited else { return Ok(size.rows) };
        let Limited { limit, sampler, learned, left_free } = limited;
        give_back_freed_pages();
        let held = sampler.begin();
        match learned.rows(size, limited.planned().saturating_sub(held)) {
            Ok(rows) => Ok(rows),
            Err(least) => Err(RunError::Memory {
                what: format!(
                    "{} are held before a batch, {} are left for analyses and their conclusions, and {} of it take {} more at the \
                     least",
                    Bytes(held),
                    Bytes(*left_free),
                    match size.positions {
                        0 | 1 => "one sample".to_owned(),
                        positions => format!("one sample of {positions} positions"),
                    },
                    Bytes(least)
                ),
                limit: Bytes(*limit),
                needed: enough(held + least + left_free),
            }),
        }
    }

    /// Begins to measure what a piece of a batch takes.
    ///
    /// # Errors
    /// What libtorch reports.
    pub(super) fn measure(&self) -> Result<Option<Measuring>, Error> {
        let Some(Limited { sampler, .. }) = &self.limited else { return Ok(None) };
        let meter = MemoryMeter::begin().map_err(fmrai_torch::model::ModelError::from)?;
        Ok(Some(Measuring { meter, before: sampler.begin() }))
    }

    /// The piece was of this size.
    pub(super) fn learn(&mut self, measuring: Option<Measuring>, size: Size) {
        let (Some(Limited { sampler, learned, .. }), Some(measuring)) = (&mut self.limited, measuring) else {
            return;
        };
        let tensors = measuring.meter.peak();
        let all = sampler.most().saturating_sub(measuring.before);
        learned.add(Seen { size, tensors }, all.saturating_sub(tensors));
    }

    /// Of an experiment's variants, how many positions of so long rows run together; `None` without a limit.
    pub(super) fn positions(&self, positions: usize) -> Option<usize> {
        let limited = self.limited.as_ref()?;
        let Limited { sampler, learned, .. } = limited;
        let left = limited.planned().saturating_sub(sampler.begin());
        let rows = learned.rows(Size { rows: usize::MAX, positions }, left).unwrap_or(1);
        Some(rows.saturating_mul(positions.max(1)))
    }

    /// Gives back what is free before conclusions are drawn.
    pub(super) fn conclude(&self) {
        if self.is_set() {
            give_back_freed_pages();
        }
    }

    /// Tells of a limit that was not kept.
    pub(super) fn tell(&self) {
        let Some(Limited { limit, sampler, .. }) = &self.limited else { return };
        let most = sampler.resident().most().unwrap_or(0);
        if most > *limit {
            let (most, limit) = (Bytes(most), Bytes(*limit));
            tracing::warn!(%most, %limit, "more memory was held for a moment than `limits.memory` allows");
        }
    }
}

/// The limit under which so many bytes can be planned with, and a little more: what a process holds is not the same every time.
fn enough(bytes: u64) -> Bytes {
    Bytes(bytes / PLANNED.0 * PLANNED.1 + bytes / 32)
}

impl Learned {
    fn add(&mut self, seen: Seen, rest: u64) {
        self.rest = self.rest.max(rest);
        let largest = self.seen.iter().map(|seen| seen.size.all()).max().unwrap_or(0);
        // Of small pieces, what is the same for all sizes counts too much.
        if seen.size.all() >= largest / 2 {
            self.seen.retain(|other| other.size.all() > seen.size.all());
            self.seen.push(seen);
        }
    }

    /// How many rows fit into so many bytes; the bytes that one takes at the least if none does.
    fn rows(&self, size: Size, room: u64) -> Result<usize, u64> {
        let Some(largest) = self.seen.iter().map(|seen| seen.size.all()).max() else { return Ok(1) };
        let positions = size.positions.max(1);
        let bold = (largest.saturating_mul(BOLDER) / positions).max(1);
        // What is beside tensors grows with the size at the most.
        let rest = |rows: usize| {
            let times = (rows * positions).div_ceil(largest).max(1);
            self.rest.saturating_mul(u64::try_from(times).unwrap_or(u64::MAX))
        };
        let takes = |rows: usize, of: fn(&Seen, Size) -> u64| {
            let tensors = self.seen.iter().map(|seen| of(seen, Size { rows, positions })).max().unwrap_or(0);
            tensors.saturating_add(rest(rows))
        };
        let most = size.rows.clamp(1, bold);
        let fitting = (1..=most).rev().find(|rows| takes(*rows, Seen::at_most) <= room);
        match fitting {
            Some(rows) => Ok(rows),
            None if takes(1, Seen::at_least) <= room => Ok(1),
            None => Err(takes(1, Seen::at_least)),
        }
    }
}

impl Seen {
    /// Bytes of tensors for inputs of another size: at most they grow with the number of positions times the length of a row.
    fn at_most(&self, size: Size) -> u64 {
        let longer = size.positions.max(1) as f64 / self.size.positions.max(1) as f64;
        self.scaled(size, longer.max(1.0))
    }

    /// At least they grow with the number of positions.
    fn at_least(&self, size: Size) -> u64 {
        self.scaled(size, 1.0)
    }

    fn scaled(&self, size: Size, by: f64) -> u64 {
        let more = size.all() as f64 / self.size.all() as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative; saturates"
        )]
        let bytes = (self.tensors as f64 * more * by).ceil() as u64;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(rows: usize, positions: usize) -> Size {
        Size { rows, positions }
    }

    #[test]
    fn what_is_not_known_is_tried_with_one_sample_and_then_with_more() {
        let mut learned = Learned::default();
        assert_eq!(learned.rows(size(64, 10), 1_000_000), Ok(1));
        learned.add(Seen { size: size(1, 10), tensors: 1000 }, 0);
        assert_eq!(learned.rows(size(64, 10), 1_000_000), Ok(2), "twice as many positions");
        learned.add(Seen { size: size(2, 10), tensors: 2000 }, 0);
        assert_eq!(learned.rows(size(64, 10), 1_000_000), Ok(4));
        assert_eq!(learned.rows(size(3, 10), 1_000_000), Ok(3));
    }

    #[test]
    fn rows_fit_into_the_room_that_there_is() {
        let mut learned = Learned::default();
        learned.add(Seen { size: size(8, 10), tensors: 8000 }, 500);
        assert_eq!(learned.rows(size(64, 10), 6500), Ok(6));
        assert_eq!(learned.rows(size(64, 10), 100_000), Ok(16));
        // Rows of twice the length may take four times as much.
        assert_eq!(learned.rows(size(64, 20), 8500), Ok(2));
        assert_eq!(learned.rows(size(64, 20), 3000), Ok(1), "they may take less as well");
        assert_eq!(learned.rows(size(64, 20), 2000), Err(2500), "but not that little");
    }

    #[test]
    fn what_is_beside_tensors_grows_with_larger_pieces() {
        let mut learned = Learned::default();
        learned.add(Seen { size: size(4, 10), tensors: 400 }, 1000);
        assert_eq!(learned.rows(size(8, 10), 1500), Ok(4));
        assert_eq!(learned.rows(size(8, 10), 2800), Ok(8));
    }

    #[test]
    fn small_pieces_say_nothing_of_large_ones() {
        let mut learned = Learned::default();
        learned.add(Seen { size: size(8, 10), tensors: 8000 }, 0);
        learned.add(Seen { size: size(1, 10), tensors: 7000 }, 0);
        assert_eq!(learned.rows(size(8, 10), 8000), Ok(8));
    }

    #[test]
    fn without_a_limit_nothing_is_cut() {
        let budget = Budget::new(None).unwrap();
        assert_eq!(budget.rows(size(1000, 512)).unwrap(), 1000);
        let mut lacking = Budget::default();
        assert!(!lacking.cuts());
        lacking.lacked(size(64, 100));
        lacking.lacked(size(200, 100));
        assert!(lacking.cuts());
        assert_eq!(lacking.rows(size(64, 100)).unwrap(), 32);
        assert_eq!(lacking.rows(size(64, 50)).unwrap(), 64);
        assert_eq!(lacking.rows(size(64, 10_000)).unwrap(), 1);
        assert!(budget.measure().unwrap().is_none() && budget.positions(5).is_none());
    }
}
