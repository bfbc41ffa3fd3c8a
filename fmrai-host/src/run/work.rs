//! Which part of a plan a run does: all of it, some of the batches, or what others have done put together.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::error::RunError;
use crate::checkpoint::Stretch;

/// Which part of a plan a run does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Work {
    /// All of it.
    #[default]
    Whole,
    /// Every so manieth batch of the data as if there were no others: to see what a run takes. Batches that stand together are alike in length, so
    /// the first ones would not tell.
    Every(u64),
    /// Some of the batches of the data. What is absorbed is kept in the output folder as an unfinished run is, for a
    /// [merge](Self::Merge).
    Part(Part),
    /// Takes up what runs of parts have absorbed.
    Merge {
        /// Their output folders, or those of merged parts.
        folders: Vec<PathBuf>,
        /// Keep what was merged for another merge, if it is not all of the data.
        partial: bool,
    },
}

/// Some of the batches of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// One of so many shards: `3/16` is the third of sixteen. Shards are equally long but for one batch, and `3/16` is `5/32` and `6/32`.
    Shard {
        /// Which one, from 1.
        shard: u64,
        /// How many there are.
        of: u64,
    },
    /// Batches by their index.
    Batches {
        /// The first one, from 0.
        from: u64,
        /// The one after the last.
        to: u64,
    },
}

impl Part {
    /// It in data of so many batches.
    ///
    /// # Errors
    /// [`RunError::Part`] for batches that they do not have.
    pub(super) fn stretch(self, of: u64) -> Result<Stretch, RunError> {
        let (from, to) = match self {
            Self::Shard { shard, of: shards } => {
                let at = |shard: u64| u128::from(of) * u128::from(shard) / u128::from(shards.max(1));
                let at = |shard: u64| u64::try_from(at(shard)).unwrap_or(of);
                (at(shard.saturating_sub(1)), at(shard))
            }
            Self::Batches { from, to } => (from, to),
        };
        if from > to || to > of {
            let what =
                format!("the data have {of} batches, 0 to {}, and {self} is asked for", of.saturating_sub(1));
            return Err(RunError::Part { what });
        }
        Ok(Stretch { from, to, of })
    }

    /// As a part of the name of a folder.
    #[must_use]
    pub fn folder(self) -> String {
        match self {
            Self::Shard { shard, of } => format!("shard-{shard}-of-{of}"),
            Self::Batches { from, to } => format!("batches-{from}-{to}"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shard { shard, of } => write!(f, "{shard}/{of}"),
            Self::Batches { from, to } => write!(f, "{from}..{to}"),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |between: &str| {
            let (a, b) = text.split_once(between)?;
            Some((a.trim().parse::<u64>().ok()?, b.trim().parse::<u64>().ok()?))
        };
        if let Some((shard, of)) = pair("/") {
            return match (1..=of).contains(&shard) {
                true => Ok(Self::Shard { shard, of }),
                false => Err(format!("there is no shard {shard} of {of}: the first is 1/{of}")),
            };
        }
        match pair("..") {
            Some((from, to)) if from <= to => Ok(Self::Batches { from, to }),
            Some(_) => Err("the first batch comes after the last one".to_owned()),
            None => Err("needed is a shard such as 3/16, or batches such as 120..180".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
    #![proptest_config(fmrai_core::property_config!(256))]

        /// Shards are all of the data, each batch once, and a shard is cut in two without a change of the others.
        #[test]
        fn shards_part_the_data(of in 0u64..2000, shards in 1u64..100) {
            let mut next = 0;
            for shard in 1..=shards {
                let whole = Part::Shard { shard, of: shards }.stretch(of).unwrap();
                prop_assert_eq!(whole.from, next);
                prop_assert!((whole.to - whole.from).abs_diff(of / shards) <= 1);
                next = whole.to;
                let half = |shard| Part::Shard { shard, of: 2 * shards }.stretch(of).unwrap();
                let (first, second) = (half(2 * shard - 1), half(2 * shard));
                prop_assert_eq!((first.from, first.to, second.to), (whole.from, second.from, whole.to));
            }
            prop_assert_eq!(next, of);
        }
    }

    #[test]
    fn parts_are_written_as_people_write_them() {
        for text in ["3/16", "120..180", "0..0"] {
            assert_eq!(text.parse::<Part>().unwrap().to_string(), text);
        }
        for (text, what) in [
            ("0/4", "no shard 0 of 4"),
            ("5/4", "no shard 5 of 4"),
            ("1/0", "no shard 1 of 0"),
            ("4..3", "after the last"),
            ("x", "a shard such as 3/16"),
            ("-1/4", "a shard such as 3/16"),
        ] {
            let error = text.parse::<Part>().unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        let error = Part::Batches { from: 3, to: 12 }.stretch(10).unwrap_err().to_string();
        assert_eq!(error, "the data have 10 batches, 0 to 9, and 3..12 is asked for");
        let all = Part::Shard { shard: u64::MAX, of: u64::MAX }.stretch(7).unwrap();
        assert_eq!((all.from, all.to), (6, 7));
    }
}
