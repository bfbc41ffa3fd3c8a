//! Where the time of a run goes, and how much memory it took.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::resident::most_held;

/// Time since the start and since the last lap.
pub(super) struct Stopwatch {
    started: SystemTime,
    start: Instant,
    lap: Instant,
    laps: Vec<(&'static str, f64)>,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self { started: SystemTime::now(), start: now, lap: now, laps: Vec::new() }
    }

    /// Ends a stage.
    pub(super) fn lap(&mut self, stage: &'static str) {
        self.laps.push((stage, self.lap.elapsed().as_secs_f64()));
        self.lap = Instant::now();
    }

    /// `started` (seconds since 1970), `seconds` in all and by stage, `peak_memory_bytes`.
    pub(super) fn report(&self) -> Map<String, Value> {
        let mut seconds: Map<String, Value> =
            self.laps.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        seconds.insert("total".to_owned(), json!(self.start.elapsed().as_secs_f64()));
        let started = self.started.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Map::from_iter([
            ("started".to_owned(), json!(started)),
            ("seconds".to_owned(), Value::Object(seconds)),
            ("peak_memory_bytes".to_owned(), json!(most_held())),
        ])
    }
}
