//! Documents of runs, made again when a run has more to tell, and no more often than the run itself bears.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use fmrai_report::excerpt;

use super::reply::{Refusal, wrong};
use crate::report;
use crate::results::folder::{CHECKPOINT, STATE, SUMMARY};

/// Runs whose documents are kept.
const KEPT: usize = 8;
/// Least time from one document of a run that goes on to the next, and how many times as long as it took to make.
const REST: (Duration, u32) = (Duration::from_secs(2), 10);

/// The documents that were made last.
pub(super) struct Documents {
    made: Mutex<BTreeMap<PathBuf, Made>>,
}

struct Made {
    at: Instant,
    took: Duration,
    stamp: [Option<(SystemTime, u64)>; 2],
    json: Bytes,
}

impl Documents {
    pub(super) fn new() -> Self {
        Self { made: Mutex::new(BTreeMap::new()) }
    }

    /// The document of the run in `folder` as JSON. Whoever asks while one is made waits for that.
    pub(super) fn of(&self, folder: &Path) -> Result<Bytes, Refusal> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = [folder.join(SUMMARY), folder.join(STATE).join(CHECKPOINT)].map(|file| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        });
        if let Some(known) = made.get(folder) {
            let rests = known.at.elapsed() < REST.0.max(known.took * REST.1);
            // A run that has ended says so at once.
            let ended = stamp[1].is_none() && known.stamp[1].is_some();
            if known.stamp == stamp || rests && !ended {
                return Ok(known.json.clone());
            }
        }
        let at = Instant::now();
        let document = excerpt(report::document(folder).map_err(wrong)?);
        let json = Bytes::from(serde_json::to_vec(&document).map_err(wrong)?);
        if made.len() >= KEPT && !made.contains_key(folder) {
            let oldest = made.iter().min_by_key(|(_, made)| made.at).map(|(folder, _)| folder.clone());
            oldest.and_then(|folder| made.remove(&folder));
        }
        made.insert(folder.to_owned(), Made { at, took: at.elapsed(), stamp, json: json.clone() });
        Ok(json)
    }
}
