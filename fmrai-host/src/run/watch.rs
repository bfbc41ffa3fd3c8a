//! Those who watch a run, and the file that tells other processes how far it is.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::events::{Event, Observer};
use crate::results::folder::{PROGRESS, STATE};
use crate::results::write_json;

/// Version of the file.
const FORMAT: u32 = 1;
/// Between two writes of the file, and before the first: short runs leave none.
const PAUSE: Duration = Duration::from_secs(1);

/// Those who watch a run.
pub(super) struct Watch<'a> {
    observers: &'a [&'a dyn Observer],
    file: Option<ProgressFile>,
}

impl<'a> Watch<'a> {
    /// `output` is the folder of a run that keeps something.
    pub(super) fn new(observers: &'a [&'a dyn Observer], output: Option<&Path>) -> Self {
        Self { observers, file: output.map(ProgressFile::new) }
    }

    /// Tells them what has happened.
    pub(super) fn tell(&self, event: &Event) {
        self.observers.iter().for_each(|observer| observer.observe(event));
        // When all is done, the folder that the file is in is gone.
        if let Some(file) = self.file.as_ref().filter(|_| !matches!(event, Event::Done { .. })) {
            file.observe(event);
        }
    }
}

/// `progress.json` beside the checkpoint: what `fmrai serve` shows of a run that goes on. One that cannot be written is no reason to end
/// a run; it goes when the run ends.
struct ProgressFile {
    path: PathBuf,
    told: RefCell<Told>,
}

struct Told {
    begun: Instant,
    due: Instant,
    /// The last event of each kind, and all failures.
    events: Vec<Value>,
}

impl ProgressFile {
    fn new(output: &Path) -> Self {
        let now = Instant::now();
        let told = Told { begun: now, due: now + PAUSE, events: Vec::new() };
        Self { path: output.join(STATE).join(PROGRESS), told: RefCell::new(told) }
    }
}

impl Observer for ProgressFile {
    fn observe(&self, event: &Event) {
        let mut told = self.told.borrow_mut();
        let entry = json!(event);
        if !matches!(event, Event::Failed { .. }) {
            told.events.retain(|known| known["event"] != entry["event"]);
        }
        told.events.push(entry);
        let now = Instant::now();
        if now < told.due {
            return;
        }
        told.due = now + PAUSE;
        let document = json!({
            "format": FORMAT,
            "process": std::process::id(),
            "seconds": told.begun.elapsed().as_secs(),
            "events": told.events,
        });
        if let Err(error) = write_json(&self.path, &document) {
            tracing::debug!(%error, "how far the run is was not written; it goes on");
        }
    }
}
